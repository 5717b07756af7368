# The service: API, chat, settlement, OTLP door. `docker compose build`.
FROM python:3.12.12-slim-bookworm
WORKDIR /srv/spanledger
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY service service
COPY clickhouse clickhouse
COPY dashboards dashboards
COPY tools tools
RUN pip install --no-cache-dir --disable-pip-version-check -c constraints.txt .
RUN useradd --create-home --uid 10001 spanledger && mkdir /data && chown spanledger /data
USER spanledger
ENV SPANLEDGER_DATA_DIR=/data LITELLM_LOCAL_MODEL_COST_MAP=True
VOLUME /data
ENTRYPOINT ["spanledger"]
CMD ["up"]
