# One image for all three services and the `stoa` command; the command says which of them runs.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
COPY requirements.lock ./
RUN python3 -m venv /opt/stoa \
    && /opt/stoa/bin/pip install --no-cache-dir --disable-pip-version-check \
        --no-deps --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY third_party third_party
COPY services services
COPY cli cli
COPY gen gen
RUN /opt/stoa/bin/pip install --no-cache-dir --disable-pip-version-check \
        --no-deps --no-build-isolation .

FROM ${PYTHON_IMAGE}
# Fixed ids, so that volumes keep their owner from one image to the next.
RUN groupadd --gid 10001 stoa \
    && useradd --uid 10001 --gid stoa --no-create-home --home-dir /data --shell /usr/sbin/nologin stoa \
    && install --directory --owner=stoa --group=stoa --mode=0700 /data
COPY --from=build /opt/stoa /opt/stoa
ENV PATH=/opt/stoa/bin:$PATH \
    STOA_HOME=/data \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER stoa
WORKDIR /data
VOLUME /data
CMD ["stoa", "--help"]
