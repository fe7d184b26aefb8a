#!/usr/bin/env python3
"""The page in a headless Chromium against the real service and the shipped model.

    Tests/Clients/page.py [--pictures FOLDER]        screenshots are kept there

Only what needs a model that sees: right answers in the page, and the map of kept patches. Tests/Page/drive.py has the
rest, which run.sh runs against a mock of the service.
Needs selenium, and Chromium with its driver (Debian: chromium, chromium-driver).
"""

import os
import shutil
import tempfile
import time

from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from support import OPTIONS, Service, check, eventually, questions, run, yellow

FOLDER = OPTIONS.pictures or tempfile.mkdtemp()
os.makedirs(FOLDER, exist_ok=True)


def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "window-size=1280,900"):
        options.add_argument("--" + flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Driver(shutil.which("chromedriver")))


def js(code, *arguments):
    return BROWSER.execute_script(code, *arguments)


def wait(code, what):
    eventually(lambda: js("return " + code), what, 60)


def picture(name):
    time.sleep(0.4)  # the fade between photo and map
    BROWSER.save_screenshot(f"{FOLDER}/{name}.png")


def size(width, height, isPhone):
    BROWSER.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": height, "deviceScaleFactor": 2 if isPhone else 1, "mobile": isPhone})


def load():
    BROWSER.get(SERVICE.url)
    wait("typeof ready !== 'undefined' && ready", "the model's name")


def drop(question):
    """The photo as a drop hands it over."""
    js(
        """
        const bytes = Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], 'scene.png', {type: 'image/png'}));
        document.querySelector('#question')
          .dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
        """, question.png)
    wait("pending.length === 1", "the dropped photo")


def ask(text):
    turns = js("return document.querySelectorAll('.turn').length")
    field = BROWSER.find_element(By.ID, "question")
    field.click()
    field.send_keys(text, Keys.ENTER)
    wait(f"document.querySelectorAll('.turn').length > {turns} && !document.querySelector('.busy')", "an answer")
    return js("return [...document.querySelectorAll('.answer')].at(-1).textContent")


def show_map():
    """- Returns: whether the map differs from the photo, and its legend."""
    js("document.querySelectorAll('.switch input')[1].click()")
    wait("getComputedStyle(document.querySelector('.map')).opacity === '1'", "the map")
    return js("""
      const pixels = image => {
        const canvas = document.createElement('canvas');
        canvas.width = canvas.height = 84;
        const context = canvas.getContext('2d');
        context.drawImage(image, 0, 0, 84, 84);
        return context.getImageData(0, 0, 84, 84).data;
      };
      const [photo, map] = ['.shot', '.map'].map(name => pixels(document.querySelector(name)));
      let changed = 0;
      for (let at = 0; at < photo.length; at += 4) changed += Math.abs(photo[at] - map[at]) > 8;
      return [changed / (84 * 84), document.querySelector('.legend').textContent];""")


def a_photo_is_asked_about(name, width, height, isPhone):
    size(width, height, isPhone)
    load()
    drop(yellow())
    picture(name + "-photo")
    yellow().check(ask(yellow().text))
    picture(name + "-answer")
    changed, legend = show_map()
    check(0.05 < changed < 1, f"the map changes {changed} of the photo")
    check("kept" in legend, legend)
    js("scrollTo(0, 0)")
    picture(name + "-map")
    wide = js("return [document.documentElement.scrollWidth, innerWidth]")
    check(wide[0] <= wide[1], f"it scrolls sideways: {wide}")


def on_a_desk():
    a_photo_is_asked_about("desk", 1280, 900, False)


def on_a_phone():
    a_photo_is_asked_about("phone", 390, 844, True)


def other_questions():
    for question in questions():
        load()
        drop(question)
        question.check(ask(question.text))


def the_console_is_empty():
    lines = [entry["message"] for entry in BROWSER.get_log("browser") if entry["level"] == "SEVERE"]
    check(not lines, lines)


if __name__ == "__main__":
    with Service("--alias", "scenes", "--temp", "0") as SERVICE, browser() as BROWSER:
        run(on_a_desk, on_a_phone, other_questions, the_console_is_empty)
