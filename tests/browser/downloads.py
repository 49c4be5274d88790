"""Files a page offers."""

from playwright.sync_api import Download, Locator, Page, TimeoutError

ONE_CLICK_MS = 20_000
CLICKS = 6


def downloaded(page: Page, label: str, within: Locator | None = None, exact: bool = False) -> Download:
    """What the button of that name gives.

    A click that meets a run of the script is lost: Streamlit has already forgotten the file that the button in the
    browser stands for, and asks to click again. So does this.
    """
    button = (within or page).get_by_role("button", name=label, exact=exact)
    for _ in range(CLICKS):
        try:
            with page.expect_download(timeout=ONE_CLICK_MS) as download:
                button.first.click()
            return download.value
        except TimeoutError:
            continue
    raise AssertionError(f"{CLICKS} clicks on {label} gave no file")
