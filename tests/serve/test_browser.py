"""The page in a real browser: Chromium with its driver, at the width of a desk and of a phone."""

import base64
import io
import json
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from http_client import png
from partway.serve.limits import Limits

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
AXE = os.environ.get("AXE_CORE")  # the folder of npm's package
SHOTS = os.environ.get("PARTWAY_SHOTS")  # a folder for screenshots, to be looked at

pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium here: apt-get install chromium-driver"),
    # A browser keeps time with what it waits for, so it runs in a leg of its own, one test after the other.
    pytest.mark.skipif("PYTEST_XDIST_WORKER" in os.environ, reason="beside other tests: run pytest tests/serve"),
]


class Page:
    """The page, and what a person does on it."""

    def __init__(self, driver, server, width):
        self.driver, self.server, self.width = driver, server, width
        driver.get(server.page)
        self.until(lambda: self.script("return document.body.dataset.ready") == "yes")

    def __getitem__(self, name):
        return self.driver.find_element("id", name)

    def script(self, text, *values):
        return self.driver.execute_script(text, *values)

    def until(self, said, seconds=30):
        deadline = time.monotonic() + seconds
        while not (found := said()):
            assert time.monotonic() < deadline, (self["status"].text, self["problem"].text)
            time.sleep(0.03)
        return found

    def set(self, name, value):
        self.script(
            "const one = document.getElementById(arguments[0]); one.value = arguments[1];"
            "for (const kind of ['input', 'change']) one.dispatchEvent(new Event(kind, {bubbles: true}))",
            name,
            value,
        )

    def drop(self, data, name="room.png"):
        self.script(
            "const bytes = Uint8Array.from(atob(arguments[0]), (one) => one.charCodeAt(0)), moved = new DataTransfer();"
            "moved.items.add(new File([bytes], arguments[1], {type: 'image/png'}));"
            "document.getElementById('drop').dispatchEvent("
            "new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: moved}))",
            base64.b64encode(data).decode(),
            name,
        )
        self.until(lambda: self["stage"].is_displayed())

    def press(self, name):
        self.script("arguments[0].scrollIntoView({block: 'center'})", self[name])
        self[name].click()

    def run(self, seconds=30):
        self.press("run")
        self.until(lambda: self["status"].text.startswith("Done"), seconds)

    def shown(self, name="after"):
        """The picture that an image shows, as an array."""
        text = self.script(
            "const image = document.getElementById(arguments[0]), canvas = document.createElement('canvas');"
            "canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;"
            "canvas.getContext('2d').drawImage(image, 0, 0); return canvas.toDataURL('image/png')",
            name,
        )
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))).convert("RGB"))

    def shot(self, name):
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(f"{SHOTS}/{name}-{self.width}.png")

    def asked(self):
        """Where requests went since the last time."""
        told = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [one["params"]["request"]["url"] for one in told if one["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def own(serve, toy_folder):
    with serve(toy_folder, limits=Limits(steps=1000), token="page-token") as server:
        yield server


@pytest.fixture(params=[1280, 390])
def page(request, own, tmp_path):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars",
                 "--force-prefers-reduced-motion", f"--window-size={request.param},900", "--disable-extensions",
                 f"--user-data-dir={tmp_path}", "--no-first-run", "--disable-background-networking",
                 "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    size = {"width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": request.param < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        yield Page(driver, own, request.param)
    finally:
        driver.quit()


@pytest.fixture
def room():
    across, down = np.meshgrid(np.linspace(0, 255, 64), np.linspace(0, 255, 48))
    return png(Image.fromarray(np.stack([across, down, 255 - across], 2).astype(np.uint8)))


def wide(page):
    """How much wider than the window the page is."""
    return page.script("return document.documentElement.scrollWidth - innerWidth")


def test_from_a_picture_to_a_result(page, room):
    assert "#" not in page.driver.current_url  # the token is out of sight
    assert wide(page) <= 0
    page.shot("empty")
    page.drop(room)
    page.set("strength", "0.45")
    page.until(lambda: "9 of 20 steps run" in page["plan"].text and "% noise" in page["plan"].text)
    assert "restyle" in page["meaning"].text and page["number"].text == "0.45"
    assert "restyle" in page["strength"].get_attribute("aria-valuetext")
    page["prompt"].send_keys("warm light")
    page.run()
    assert page["after"].is_displayed() and page["compare"].is_displayed()
    assert page["caption"].text.startswith("strength 0.45")
    assert page.shown().shape == page.shown("before").shape == (48, 64, 3)
    page.set("compare", "80")
    assert "80" in page["after"].value_of_css_property("clip-path")
    assert page["compare"].get_attribute("aria-valuetext") == "80 % before, 20 % after"
    assert wide(page) <= 0
    page.shot("result")
    asked = page.asked()
    assert any("/partway/runs" in url for url in asked)
    own = (page.server.address, "blob:", "data:", "chrome:")  # the last is the tab that the browser opens with
    assert [url for url in asked if not url.startswith(own)] == []
    assert [entry for entry in page.driver.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_dial_is_the_biggest_thing_to_turn_and_turns(page, room):
    page.drop(room)
    faces = page.script(
        "return [...document.querySelectorAll('button, input, select, textarea, #face')].map((one) => {"
        "const box = one.getBoundingClientRect(); return [one.id, box.width * box.height]})"
    )
    assert max(faces, key=lambda one: one[1])[0] == "face"
    box = page["face"].rect
    page.script(
        "const face = document.getElementById('face'), box = face.getBoundingClientRect();"
        "face.setPointerCapture = () => {};"
        "face.dispatchEvent(new PointerEvent('pointerdown', {clientX: box.left + box.width / 2, clientY: box.top + 1}))"
    )
    assert box["width"] > 300 and page["number"].text == "0.50"
    for name, value in (("subtle", "0.25"), ("restyle", "0.45"), ("loose", "0.75"), ("ignore", "1.00")):
        page.driver.find_element("xpath", f"//button[text()='{name}']").click()
        assert page["number"].text == value
    page["strength"].send_keys("\ue012")  # left arrow
    assert page["number"].text == "0.99"


def test_previews_and_stopping_keep_a_picture(page, room, slow_steps):
    slow_steps(0.02)
    page.drop(room)
    page.set("strength", "1")
    page.set("steps", "1000")
    page.press("run")
    page.until(lambda: page["after"].is_displayed() and "Step" in page["status"].text)
    assert page["after"].get_attribute("src").startswith("data:image/jpeg")
    assert page["bar"].is_displayed() and not page["run"].is_enabled()
    page.shot("running")
    page["prompt"].send_keys("\ue00c")  # Escape
    page.until(lambda: page["status"].text.startswith("Done"))
    assert page.shown().shape == (48, 64, 3) and page["run"].is_enabled()
    assert page["after"].get_attribute("src").startswith("blob:")


def test_a_mask_is_painted_by_pointer_and_by_keyboard(page, room):
    from selenium.webdriver.common.action_chains import ActionChains

    page.drop(room)
    page.press("masking")
    canvas = page["paint"]
    hand = ActionChains(page.driver).move_to_element_with_offset(canvas, 40, 0)
    hand.click_and_hold().move_by_offset(40, 0).release().perform()
    canvas.send_keys("\ue012\ue012\ue012 ")  # left, and paint
    assert page["cursor"].is_displayed()
    page.shot("mask")
    painted = page.script(
        "const canvas = document.getElementById('paint'), data = canvas.getContext('2d')"
        ".getImageData(0, 0, canvas.width, canvas.height).data;"
        "return data.filter((one, at) => at % 4 == 3 && one).length"
    )
    assert 0 < painted < 64 * 48 / 2
    assert "% across" in page["status"].text
    page.set("strength", "1")
    page.run()
    before, after = page.shown("before"), page.shown()
    changed = (before != after).any(axis=2)
    assert 0 < changed.sum() <= 64 * 48 / 2 and not changed[0].any()
    page.press("masking")
    page.press("invert")
    page.press("undo")
    page.press("clear")
    page.run()
    assert (before != page.shown()).any(axis=2)[0].any()


def test_a_strip_of_strengths(page, room):
    page.drop(room)
    page.set("steps", "5")
    page.press("sweep")
    page.until(lambda: page["status"].text.startswith("The strip is done"))
    tiles = page["strip"].find_elements("tag name", "button")
    assert [tile.text for tile in tiles] == [f"strength {one:.2f}" for one in (0.2, 0.4, 0.6, 0.8, 1)]
    page.shot("strip")
    page.script("arguments[0].scrollIntoView({block: 'center'})", tiles[1])
    tiles[1].click()
    page.until(lambda: page["caption"].text.startswith("strength 0.40"))
    assert page["number"].text == "0.40"


def test_history_survives_a_reload(page, room):
    page.drop(room)
    page["prompt"].send_keys("blue hour")
    page.set("strength", "0.3")
    page.run()
    made = page.shown()
    page.driver.refresh()
    page.until(lambda: page["history"].find_elements("tag name", "button"))
    assert page.script("return document.getElementById('prompt').value") == ""
    page.until(lambda: page.script("return document.body.dataset.ready") == "yes")
    (tile,) = page["history"].find_elements("tag name", "button")
    page.script("arguments[0].scrollIntoView({block: 'center'})", tile)
    tile.click()
    page.until(lambda: page["caption"].text.startswith("strength 0.30"))
    assert np.array_equal(page.shown(), made) and page["number"].text == "0.30"
    assert page.script("return document.getElementById('prompt').value") == "blue hour"
    page.shot("history")
    page.press("forget")
    page.until(lambda: not page["history-part"].is_displayed())


def test_a_result_brings_its_settings_back_and_goes_on(page, room):
    page.drop(room)
    page["prompt"].send_keys("blue hour")
    page.set("strength", "0.35")
    page.set("steps", "7")
    page.run()
    seed = page["caption"].text.split("seed ")[1].split(",")[0]
    assert page["download"].get_attribute("download") == "partway.png"
    page.press("onward")
    page.until(lambda: "goes on from the result" in page["status"].text)
    page.run()
    link = page.until(lambda: [url for url in page.asked() if "/results/" in url])[0]
    data = page.server.service.store.get(link.rpartition("/")[2]).data
    page.driver.refresh()
    page.until(lambda: page.script("return document.body.dataset.ready") == "yes")
    page.drop(data)
    page.until(lambda: "settings are back" in page["status"].text)
    names = ["prompt", "steps", "seed", "strength"]
    values = page.script("return arguments[0].map((one) => document.getElementById(one).value)", names)
    assert values == ["blue hour", "7", seed, "0.35"]


def test_without_a_picture_words_make_one(page):
    page["prompt"].send_keys("a cozy room")
    page.set("steps", "3")
    page.run()
    assert page.shown().shape == (64, 64, 3)


def test_what_goes_wrong_is_said_and_nothing_is_lost(page, room):
    page.drop(room)
    page["prompt"].send_keys("kept")
    page.set("steps", "5000")
    page.until(lambda: "steps must be" in page["problem"].text)
    assert page.script("return document.getElementById('prompt').value") == "kept" and page["before"].is_displayed()
    page.set("steps", "4")
    page.run()
    assert page["problem"].text == ""


@pytest.mark.skipif(not AXE, reason="no axe-core here: npm install axe-core, and AXE_CORE says where")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, room, scheme):
    emulated = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", emulated)
    source = (Path(str(AXE)) / "axe.min.js").read_text("utf-8")

    def violations():
        found = page.driver.execute_async_script(f"{source}; axe.run().then(arguments[arguments.length - 1])")
        return [
            (one["id"], one["impact"], [node["html"][:120] for node in one["nodes"]])
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]

    assert violations() == []
    page.script("document.querySelector('details').open = true")
    page.drop(room)
    page.set("steps", "5")
    page.press("sweep")
    page.until(lambda: page["status"].text.startswith("The strip is done"))
    page.press("masking")
    page.shot(f"whole-{scheme}")
    assert violations() == []


def test_the_page_is_small(own):
    folder = Path(__file__).parents[2] / "runtime/partway/serve/page/static"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 60_000
    text = "".join(path.read_text("utf-8") for path in folder.iterdir())
    assert set(re.findall(r"https?://[\w.]+", text)) == {"http://www.w3.org"}  # the names of SVG
