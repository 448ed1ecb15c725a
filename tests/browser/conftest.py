"""A real browser, where there is one: Chromium and its driver, as Debian has them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Nothing that Chromium does on its own account, such as updates, is asked for.
_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)


class Browser:
    """Chromium with a page.

    Attributes:
        driver: Selenium's driver of it.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path) -> None:
        """Opens a file; what was logged before is forgotten."""
        self.show()
        self.read_requests(), self.driver.get_log("browser")
        self.driver.get(page.as_uri())

    def show(
        self, *, width: int = 1280, scheme: str = "light", media: str = ""
    ) -> None:
        """Sets the width in CSS pixels, the colour scheme, and `print` as medium."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._tell("Emulation.setEmulatedMedia", media=media, features=features)
        self._tell(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": 800, "deviceScaleFactor": 1},
            mobile=width < 500,
        )

    def run(self, script: str) -> Any:
        """Runs JavaScript, and returns what it returns."""
        return self.driver.execute_script(script)

    def read_requests(self) -> list[str]:
        """Returns the addresses of all that was asked for since the last call."""
        logged = self.driver.get_log("performance")
        messages = [json.loads(entry["message"])["message"] for entry in logged]
        sent = [m for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [str(message["params"]["request"]["url"]) for message in sent]

    def print_page(self) -> str:
        """Returns the page as PDF, in base64."""
        return str(self._tell("Page.printToPDF")["data"])

    def list_names(self) -> list[tuple[str, str]]:
        """Returns role and name of all that screen readers are told of."""
        nodes = self._tell("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"]
        ]

    def _tell(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser of its own profile; tests are skipped only where none is installed."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if not all(programs):
        pytest.skip("needs chromium and chromedriver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(programs[0])
    for option in (*_OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    logs = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logs)
    service = webdriver.ChromeService(str(programs[1]))
    driver = webdriver.Chrome(options=options, service=service)
    yield Browser(driver)
    driver.quit()
