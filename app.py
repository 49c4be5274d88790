"""Headlight's server, for ``streamlit run app.py``; what it shows begins in pages/main.py.

That script does not lie here because beside a folder named "pages" Streamlit takes the first link to one of them
for a page of its older kind, and tells the visitor that there is none.
"""

import streamlit as st

from pages.shared.failure import told

app = st.App("pages/main.py", on_script_error=told)
