"""What is to be true of every page, whatever it shows."""

import re

# The contrast of every text with what is behind it (WCAG 2.1, 1.4.3), those that have too little.
CONTRAST = """
const channel = (value) => { value /= 255; return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = parts(getComputedStyle(at).backgroundColor);
    if (colour[3] !== 0) return colour;
  }
  return [255, 255, 255];
};
const poor = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !element.checkVisibility() || element.closest("script, style, noscript")) continue;
  const style = getComputedStyle(element);
  const colour = element.namespaceURI.endsWith("svg") ? style.fill : style.color;
  const [a, b] = [light(parts(colour)), light(behind(element))];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < 4.5) poor.push(`${contrast.toFixed(1)} ${element.tagName} ${element.textContent.slice(0, 40)}`);
}
return poor;
"""

# How people's words are made of what the daemon says, as in mupdatectl.
WORDS = """
return [[5, 1500, 61000, 3600000, 5000000, 90000000].map(lasting).join(" "), number(1, "name"), number(2000, "echo"),
  shown({base64: "YWH/YwkK"}), shown("m\\u00fcller\\u202e\\\\"), oneLine(" one\\r\\ntwo "), octets(28672), octets(17179869184)];
"""
SAID = [
    "5ms 1s 1m 1s 1h 1h 23m 1d 1h", "1 name", "2,000 echoes", "aa\\xffc\\t\\n", "m\u00fcller\\u{202e}\\\\", "one  two",
    "28.0 KiB", "16.0 GiB",
]

# Names that a page must have to be read without being seen.
NAMELESS = """
const named = (e) => e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim();
return [...document.querySelectorAll("section, button:not([hidden]), th, svg, h1, h2, a")].filter((e) => !named(e)).map((e) => e.outerHTML);
"""

SIZES = {"wide": (1280, 900, False), "phone": (390, 844, True)}


def all_ways(browser, pictures, name):
    """Wide and narrow, light and dark: nothing is cut off, everything can be read."""
    grounds = set()
    for size, (width, height, phone) in SIZES.items():
        for dark in (False, True):
            browser.look(width, height, dark, phone)
            browser.wait("the plot at its new width", "Math.abs(document.querySelector('.plot svg').viewBox.baseVal.width - "
                         "document.querySelector('.plot').clientWidth) < 2")
            over = browser.run("return document.documentElement.scrollWidth - innerWidth")
            assert over <= 0, f"{name} {size}: {over} pixels too wide"
            poor = browser.run(CONTRAST)
            assert not poor, f"{name} {size} dark={dark}: {poor}"
            grounds.add(browser.run("return getComputedStyle(document.body).backgroundColor"))
            browser.picture(pictures / f"{name}-{size}-{'dark' if dark else 'light'}.png")
    assert len(grounds) == 2, f"light and dark are alike: {grounds}"
    assert not (nameless := browser.run(NAMELESS)), nameless
    browser.look(*SIZES["wide"][:2], False)


def nothing_else(browser, origin, away=False):
    """Nothing was said on the console, and nothing asked for elsewhere. `away`: the daemon was not there, or full, for a while."""
    expected = ("net::ERR_", "503 (Service Unavailable)") if away else ()
    said = [line for line in browser.console() if not any(word in line for word in expected)]
    assert not said, said
    own = (origin + "/", "data:image/svg+xml", "data:,")
    asked = [re.sub("//[a-z]+:[a-z]+@", "//", url) for url in browser.requests()]
    elsewhere = [url for url in asked if not url.startswith(own)]
    assert not elsewhere, elsewhere
