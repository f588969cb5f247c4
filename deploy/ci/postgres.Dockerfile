# Stands in for the official PostgreSQL image where no image registry answers: the distribution's
# server, started the same way (POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, and the SQL files of
# /docker-entrypoint-initdb.d at the first start).
FROM docker.io/library/python:3.11-slim
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends postgresql \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner=postgres --group=postgres /var/lib/postgresql/data
COPY postgres-entrypoint.sh /usr/local/bin/postgres-entrypoint.sh
USER postgres
VOLUME /var/lib/postgresql/data
CMD ["/usr/local/bin/postgres-entrypoint.sh"]
