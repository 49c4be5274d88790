"""Headlight in the browser: page config, shared sidebar, navigation - nothing else."""

import streamlit as st

from pages.shared import look

st.set_page_config(page_title="Headlight", page_icon=str(look.MARK), layout="wide")
look.masthead()
with look.opening():  # brings torch in, seconds on a cold start: something is painted by now
    from pages.shared import jobs_panel, rooms, sidebar

page = st.navigation(rooms.pages(), position="hidden")
sidebar.show()
page.run()
jobs_panel.show()  # after the page, so that what it has just started is on the list
