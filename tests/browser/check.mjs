// Opens a page of perfgate in Chromium and prints what a reader of any kind would stumble over, as JSON.
//
//   node check.mjs PAGE [FOLDER]
//
// PERFGATE_TEST_CHROMIUM is the browser; PERFGATE_TEST_BROWSER the folder with node_modules. With FOLDER, pictures of
// the whole page in both themes and widths and the printed page are written there.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [page, folder] = process.argv.slice(2);
const require = createRequire(join(resolve(process.env.PERFGATE_TEST_BROWSER), "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const address = pathToFileURL(resolve(page)).href;
const found = { console: [], requests: [], widths: [], violations: [], headings: [], landmarks: [] };

// What the console says and what is asked for, beside the page itself.
function watch(tab) {
  tab.on("console", (message) => found.console.push(message.text()));
  tab.on("pageerror", (error) => found.console.push(String(error)));
  tab.on("request", (request) => {
    if (request.url() !== address) found.requests.push(request.url());
  });
}

const browser = await chromium.launch({
  executablePath: process.env.PERFGATE_TEST_CHROMIUM,
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});

try {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [360, 1440]) {
      const tab = await browser.newPage({ colorScheme, viewport: { width, height: 900 } });
      watch(tab);
      await tab.goto(address);
      const { scroll, client, wide } = await tab.evaluate(() => {
        const root = document.documentElement;
        // Whose edge is beyond the page, outside the boxes that scroll by themselves.
        const wide = [...document.body.querySelectorAll("*")]
          .filter((element) => !element.closest(".scroll, pre"))
          .filter((element) => element.getBoundingClientRect().right > root.clientWidth + 1)
          .map((element) => `${element.tagName.toLowerCase()}: ${element.textContent.trim().slice(0, 60)}`);
        return { scroll: root.scrollWidth, client: root.clientWidth, wide: wide.slice(0, 5) };
      });
      found.widths.push({ theme: colorScheme, width, scroll, client, wide });
      if (folder) await tab.screenshot({ path: join(folder, `${colorScheme}-${width}.png`), fullPage: true });
      // Through the debugger, as the page's own policy lets no foreign script in.
      await tab.evaluate(axe);
      const { violations } = await tab.evaluate(() => window.axe.run(document));
      for (const { id, help, nodes } of violations) {
        const where = nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.failureSummary}`);
        found.violations.push({ theme: colorScheme, width, id, help, where });
      }
      await tab.close();
    }
  }

  const tab = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  watch(tab);
  await tab.goto(address);
  found.headings = await tab.$$eval("h1, h2, h3, h4, h5, h6", (all) => all.map((heading) => Number(heading.tagName[1])));
  found.landmarks = await tab.$$eval("header, nav, main, footer", (all) => all.map((mark) => mark.tagName.toLowerCase()));
  // Links inside the page must lead somewhere.
  found.lost = await tab.$$eval("a[href]", (all) =>
    all
      .map((link) => link.getAttribute("href"))
      .filter((target) => !target.startsWith("#") || !document.getElementById(target.slice(1))),
  );
  await tab.emulateMedia({ media: "print" });
  // A4 without its margins, in the pixels of a printed page.
  await tab.setViewportSize({ width: 688, height: 1000 });
  found.printed = await tab.evaluate(() => ({
    navigation: [...document.querySelectorAll("nav")].some((nav) => nav.getClientRects().length > 0),
    beyond: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    // A box that still scrolls would be cut on paper.
    cut: [...document.querySelectorAll(".scroll, pre")].filter((box) => getComputedStyle(box).overflowX !== "visible").length,
  }));
  if (folder) await tab.pdf({ path: join(folder, "print.pdf"), format: "A4", preferCSSPageSize: true });
  await tab.close();

  // The page without its script.
  const plain = await browser.newPage({ javaScriptEnabled: false, viewport: { width: 1440, height: 900 } });
  watch(plain);
  await plain.goto(address);
  found.text_without_script = (await plain.locator("main").innerText()).length;
  await plain.close();
} finally {
  await browser.close();
}

process.stdout.write(`${JSON.stringify(found, null, 1)}\n`);
