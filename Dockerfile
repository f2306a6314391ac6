# The server, as image `cpu` or `cuda`:
#
#   docker build --target cpu -t camgraph:cpu .
#   docker build --target cuda -t camgraph:cuda .
#   docker run --rm -p 8500:8500 -v "$PWD/models:/models:ro" camgraph:cpu
#
# Only wheels go into the final stages: no compiler, no source, no pip cache. scripts/check_docker_steps.sh runs the
# same install steps in a clean virtual environment, without a container engine.

FROM python:3.12.11-slim-bookworm AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12.11-slim-bookworm AS environment-cpu
COPY --from=wheel /wheels /wheels
RUN python -m venv /opt/camgraph \
    && /opt/camgraph/bin/pip install --no-cache-dir "$(echo /wheels/camgraph-*.whl)[cpu,serve,http]"

FROM python:3.12.11-slim-bookworm AS environment-cuda
COPY --from=wheel /wheels /wheels
RUN python -m venv /opt/camgraph \
    && /opt/camgraph/bin/pip install --no-cache-dir "$(echo /wheels/camgraph-*.whl)[gpu,serve,http]"

FROM python:3.12.11-slim-bookworm AS base
ENV PATH=/opt/camgraph/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    CAMGRAPH_SERVE_MODEL_REPOSITORY=/models \
    CAMGRAPH_SERVE_LISTEN=0.0.0.0:8500 \
    CAMGRAPH_SERVE_LOG_FORMAT=json
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin camgraph \
    && mkdir /models
COPY deploy/healthcheck.py /opt/healthcheck.py
USER 10001
EXPOSE 8500
VOLUME /models
# A model repository may take a while to load; until then the server answers NOT_SERVING.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 CMD ["python", "/opt/healthcheck.py"]
ENTRYPOINT ["camgraph"]
CMD ["serve"]

# The CUDA libraries come with the Python packages; the driver comes from the host's container toolkit.
FROM base AS cuda
COPY --from=environment-cuda /opt/camgraph /opt/camgraph
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    CAMGRAPH_SERVE_DEVICE=cuda

# Last, so that it is what a build without --target gives.
FROM base AS cpu
COPY --from=environment-cpu /opt/camgraph /opt/camgraph
