#!/usr/bin/env bash
# Runs the install steps of the Dockerfile's target `cpu` without a container engine: the same files that .dockerignore
# lets through, the same pip commands, a clean virtual environment; then starts the server from it and runs the health
# check of the image against it.
#
#   scripts/check_docker_steps.sh MODEL_REPOSITORY
set -euo pipefail

repository=$(realpath "${1:?usage: scripts/check_docker_steps.sh MODEL_REPOSITORY}")
root=$(cd "$(dirname "$0")/.." && pwd)
python=$("$root/scripts/find_python.sh")
work=$(mktemp -d)
server=
stop() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null && wait "$server" || true; fi
    rm -rf "$work"
}
trap stop EXIT

# What `COPY . .` gets: the entries that .dockerignore names with a `!`.
mkdir "$work/source"
sed -n 's/^!//p' "$root/.dockerignore" | tar -C "$root" --exclude=__pycache__ -T - -cf - | tar -C "$work/source" -xf -

"$python" -m venv "$work/builder"
(cd "$work/source" && "$work/builder/bin/pip" wheel --quiet --no-cache-dir --no-deps --wheel-dir "$work/wheels" .)

"$python" -m venv "$work/camgraph"
"$work/camgraph/bin/pip" install --quiet --no-cache-dir "$(echo "$work"/wheels/camgraph-*.whl)[cpu,serve,http]"

export PATH="$work/camgraph/bin:$PATH"
export CAMGRAPH_SERVE_MODEL_REPOSITORY="$repository" CAMGRAPH_SERVE_LISTEN=127.0.0.1:0
cd "$work"
CAMGRAPH_SERVE_PORT_FILE="$work/port" camgraph serve &
server=$!
for _ in $(seq 300); do
    if [ -s "$work/port" ]; then break; fi
    kill -0 "$server" || { echo "The server did not start." >&2; exit 1; }
    sleep 0.2
done
CAMGRAPH_SERVE_LISTEN="127.0.0.1:$(cat "$work/port")" python "$work/source/deploy/healthcheck.py"
kill "$server"
wait "$server"
server=
du -sh "$work/camgraph"
echo "The install steps of the image work: $(camgraph --version)."
