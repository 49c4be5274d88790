"""What every page shares: page config, masthead, sidebar, navigation - nothing else."""

import streamlit as st

from pages.shared import look

st.set_page_config(page_title="Headlight", page_icon=str(look.MARK), layout="wide")
look.masthead()
with look.opening():  # brings torch in, seconds on a cold start: something is painted by now
    from pages.shared import introduction, jobs_panel, kept_runs, rooms, sidebar

page = st.navigation(rooms.pages(), position="hidden")
sidebar.show()
introduction.show(rooms.of(page).name)
page.run()
kept_runs.follow()
jobs_panel.show()  # after the page, so that what it has just started is on the list
