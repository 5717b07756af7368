# The service: API, chat, settlement, OTLP door. `docker compose build`.
FROM python:3.12.12-slim-bookworm AS build
WORKDIR /src
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY service service
COPY clickhouse clickhouse
COPY dashboards dashboards
RUN uv build --quiet --wheel --build-constraints constraints.txt --out-dir /dist \
    && uv venv --quiet /opt/spanledger \
    && uv pip install --quiet --no-cache --python /opt/spanledger/bin/python -c constraints.txt /dist/*.whl

FROM python:3.12.12-slim-bookworm
COPY --from=build /opt/spanledger /opt/spanledger
RUN useradd --create-home --uid 10001 spanledger && mkdir /data && chown spanledger /data
USER spanledger
ENV PATH=/opt/spanledger/bin:$PATH SPANLEDGER_DATA_DIR=/data LITELLM_LOCAL_MODEL_COST_MAP=True
VOLUME /data
ENTRYPOINT ["spanledger"]
CMD ["up"]
