"""Whether a page fits its window."""

from playwright.sync_api import Page


def fits(page: Page) -> None:
    """Waits until nothing is wider than the window: what it holds is laid out again only after a change of size."""
    page.wait_for_function("() => document.querySelector('.stMain').scrollWidth <= window.innerWidth")
