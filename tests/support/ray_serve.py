"""Runs a config file of Ray Serve in the environment of the peer `ray`.

    python ray_serve.py CONFIG [ADDRESS]

It takes the Ray at the address, or starts one on this machine that takes little.
It prints a line when the application serves, and ends when its standard input does.
"""

import sys
from pathlib import Path

import ray
import yaml
from ray import serve
from ray.serve._private.api import serve_start
from ray.serve.schema import ServeDeploySchema


def main(config: str, address: str = "local") -> None:
    read = yaml.safe_load(Path(config).read_text(encoding="utf-8"))
    small = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 << 20}
    ray.init(address, log_to_driver=False, **(small if address == "local" else {}))
    client = serve_start(
        http_options=read["http_options"], proxy_location=read["proxy_location"], grpc_options=read["grpc_options"]
    )
    client.deploy_apps(ServeDeploySchema(**read), _blocking=True)
    print("serving", flush=True)
    sys.stdin.read()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
