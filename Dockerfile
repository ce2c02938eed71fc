# One image for web, workers and migrations; docker-compose.yml says which command runs.
FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
WORKDIR /app
COPY pyproject.toml constraints.txt ./
# Dependencies first: they change less often than the code, so their layer is kept.
RUN mkdir config && touch config/__init__.py \
 && /venv/bin/pip install -c constraints.txt -e '.[encoder]'

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 PORT=8000 TANDEM_HOME=/data HF_HOME=/data/huggingface
RUN useradd --system --uid 10001 --create-home tandem \
 && install -d -o tandem -g tandem /data
COPY --from=build /venv /venv
WORKDIR /app
COPY . .
# Static files belong to the image. This key signs nothing that outlives the build step.
RUN SECRET_KEY=build-only DATABASE_URL=postgresql://none@none/none TANDEM_HOME=/app/.build \
    python manage.py collectstatic --noinput --verbosity 0 \
 && mv .build/static /app/collected && rm -rf .build
ENV STATIC_ROOT=/app/collected
USER tandem
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=40s \
  CMD ["python", "-m", "config.healthcheck"]
CMD ["gunicorn", "-c", "python:config.gunicorn_conf", "config.wsgi"]
