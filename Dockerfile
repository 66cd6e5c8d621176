# The project's images: `docker build --target cpu|gpu|tracking .` (docker-compose.yml does it).
#
#   cpu       harness with its extras, for sweeps, Ray's nodes and `harness serve`
#   gpu       the same with CUDA's libraries; the machine has NVIDIA's driver and container toolkit
#   tracking  MLflow's server and optuna-dashboard, with their PostgreSQL driver; no TensorFlow
#
# Versions are those of constraints.txt. To pin the base image by digest: docs/scale-out.md, "Pinning by digest".
ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
ARG HARNESS_UID=1000
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    DO_NOT_TRACK=true \
    RAY_USAGE_STATS_ENABLED=0
# Volumes take the owner of the folder that they are mounted on.
RUN useradd --uid "${HARNESS_UID}" --create-home harness \
 && install --directory --owner=harness --group=harness /studies /cache /artifacts /project /project/exports
COPY --chmod=755 deploy/with-secrets /usr/local/bin/with-secrets
ENTRYPOINT ["/usr/local/bin/with-secrets"]

FROM base AS tracking
COPY constraints.txt /build/
RUN pip install -c /build/constraints.txt "mlflow[auth]" optuna-dashboard "psycopg[binary]" boto3
COPY deploy/mlflow /etc/mlflow
COPY deploy/s3 /etc/s3
USER harness
WORKDIR /tmp

FROM base AS cpu
# Beside the extras, what Ray's page and KubeRay's jobs need of Ray.
ARG EXTRAS="pretrained onnx litert serve video ray postgres"
COPY constraints.txt pyproject.toml /build/
COPY deploy/requirements.py /build/deploy/
RUN python /build/deploy/requirements.py ${EXTRAS} > /build/requirements.txt \
 && pip install -c /build/constraints.txt -r /build/requirements.txt "ray[default]"
COPY README.md /build/
COPY experiments /build/experiments
COPY harness /build/harness
RUN pip install -c /build/constraints.txt hatchling editables \
 && pip install --no-deps --no-build-isolation /build
ENV HARNESS_HOME=/studies \
    HARNESS_CACHE=/cache
USER harness
WORKDIR /project
CMD ["harness", "--help"]

FROM cpu AS gpu
USER root
# The versions of NVIDIA's packages are those that this TensorFlow asks for; constraints.txt has none of them.
RUN pip install -c /build/constraints.txt "tensorflow[and-cuda]"
USER harness
