"""Headlight's server, for ``streamlit run app.py``; what it shows begins in pages/main.py.

That script does not lie here because beside a folder named "pages" Streamlit takes the first link to one of them
for a page of its older kind, and tells the visitor that there is none.
"""

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Route

from engine.serving import log
from engine.serving.limits import limits
from pages.shared import headers, health, visitors
from pages.shared.failure import told

log.configure()
limits()  # a variable that makes no sense is told before anybody visits
headers.headers()

app = st.App(
    "pages/main.py",
    routes=[Route("/health", health.answer)],
    middleware=[Middleware(headers.SecurityHeaders), Middleware(visitors.BrowserCookie)],
    lifespan=health.told_to_the_log,
    on_script_error=told,
)
