# Images of master and worker: `docker build --target cpu .` and, with PyTorch and its CUDA libraries, `--target gpu`.
# Wheels in a folder `wheels` beside this file are used before the package index; with PIP_NO_INDEX=1 only those.
ARG PYTHON_IMAGE=docker.io/library/python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS source
ARG PIP_NO_INDEX=0
ENV PIP_NO_INDEX=${PIP_NO_INDEX} PIP_FIND_LINKS=/source/wheels PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
# The pattern lets the folder be absent; a file beside it must not.
COPY LICENSE wheel[s] ./wheels/
COPY bohb_service ./bohb_service
COPY workers ./workers
RUN python3 -m venv /opt/bohb && /opt/bohb/bin/python -m pip install -c constraints.txt --upgrade pip

FROM source AS build-cpu
ARG EXTRAS=sklearn,metrics
RUN /opt/bohb/bin/python -m pip install -c constraints.txt --build-constraint constraints.txt ".[${EXTRAS}]"

FROM source AS build-gpu
ARG GPU_EXTRAS=all
RUN /opt/bohb/bin/python -m pip install -c constraints.txt --build-constraint constraints.txt ".[${GPU_EXTRAS}]"

FROM ${PYTHON_IMAGE} AS base
# Anybody may write into /runs, because a named volume takes over its mode, and the user may be another one.
RUN mkdir -m 1777 /runs && mkdir /study
ENV PATH=/opt/bohb/bin:$PATH PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 HOME=/tmp
WORKDIR /study
USER 1000:1000
CMD ["bohb-master", "--help"]

FROM base AS gpu
# For NVIDIA's container runtime. Which devices a container sees is left to what starts it: a list of them here would hold
# also for pods that have asked for none.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=build-gpu /opt/bohb /opt/bohb

FROM base AS cpu
COPY --from=build-cpu /opt/bohb /opt/bohb
