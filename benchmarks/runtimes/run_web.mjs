// Runs a graph in onnxruntime-web (WebAssembly) under Node, as exchange.py says: `node run_web.mjs GRAPH RUN...`.
// CAMGRAPH_NODE_MODULES names the folder in which the package onnxruntime-web is installed.

import { readFileSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.CAMGRAPH_NODE_MODULES ?? process.cwd(), "index.js"));
const ort = require("onnxruntime-web/wasm");
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

const ARRAYS = {
  float32: Float32Array, float64: Float64Array, int64: BigInt64Array, int32: Int32Array, uint8: Uint8Array, bool: Uint8Array,
};

function readTensors(folder) {
  const entries = JSON.parse(readFileSync(join(folder, "tensors.json"), "utf8"));
  const tensors = {};
  entries.forEach(({ name, dtype, shape }, i) => {
    const bytes = new Uint8Array(readFileSync(join(folder, `${i}.bin`)));
    tensors[name] = new ort.Tensor(dtype, new ARRAYS[dtype](bytes.buffer), shape);
  });
  return tensors;
}

function writeTensors(folder, tensors) {
  mkdirSync(folder);
  const entries = Object.entries(tensors).map(([name, tensor], i) => {
    const { buffer, byteOffset, byteLength } = tensor.data;
    writeFileSync(join(folder, `${i}.bin`), new Uint8Array(buffer, byteOffset, byteLength));
    return { name, dtype: tensor.type, shape: tensor.dims };
  });
  writeFileSync(join(folder, "tensors.json"), JSON.stringify(entries));
}

const [graph, ...runs] = process.argv.slice(2);
console.log(ort.env.versions.web);
try {
  const session = await ort.InferenceSession.create(readFileSync(graph));
  for (const run of runs) {
    writeTensors(join(run, "outputs"), await session.run(readTensors(join(run, "inputs"))));
  }
} catch (error) {
  console.error(`refused: ${error.message ?? error}`);
  process.exitCode = 1;
}
