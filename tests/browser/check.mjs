// Opens a page in Chromium as a reader would and says what is wrong with it, as JSON on stdout:
//   node check.mjs PAGE [FOLDER]
// PAGE is a file, FOLDER gets screenshots and the page as it prints. The folder of the packages is PERFGATE_TEST_BROWSER,
// the browser PERFGATE_TEST_CHROMIUM.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const packages = createRequire(join(process.env.PERFGATE_TEST_BROWSER, "package.json"));
const { chromium } = packages("playwright-core");
const axe = readFileSync(packages.resolve("axe-core/axe.min.js"), "utf8");

const [page_file, folder] = process.argv.slice(2);
const address = pathToFileURL(resolve(page_file)).href;
const said = { console: [], requests: [], overflows: [], violations: [], headings: [] };

const browser = await chromium.launch({
  executablePath: process.env.PERFGATE_TEST_CHROMIUM,
  args: [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic",
  ],
});

for (const theme of ["light", "dark"]) {
  for (const width of [360, 1440]) {
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: theme });
    const page = await context.newPage();
    page.on("console", (message) => said.console.push(`${theme} ${width}: ${message.text()}`));
    page.on("pageerror", (error) => said.console.push(`${theme} ${width}: ${error.message}`));
    page.on("request", (request) => {
      if (request.url() !== address) said.requests.push(request.url());
    });
    await page.goto(address);
    const overflow = await page.evaluate(() => {
      const root = document.documentElement;
      const wide = [...document.body.querySelectorAll("*")].filter((element) => {
        // What scrolls in a box of its own does not widen the page.
        if (element.closest(".scroll, pre")) return false;
        return element.getBoundingClientRect().right > root.clientWidth + 1;
      });
      return {
        page: root.scrollWidth - root.clientWidth,
        elements: wide.slice(0, 5).map((element) => element.outerHTML.slice(0, 120)),
      };
    });
    if (overflow.page > 0 || overflow.elements.length > 0) {
      said.overflows.push({ theme, width, ...overflow });
    }
    // Evaluated by the browser's own hand, which the page's policy does not forbid.
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    for (const { id, help, nodes } of violations) {
      said.violations.push({ theme, width, id, help, at: nodes.slice(0, 3).map((node) => node.html.slice(0, 200)) });
    }
    if (folder) {
      await page.screenshot({ path: join(folder, `${theme}-${width}.png`), fullPage: true });
    }
    if (theme === "light" && width === 1440) {
      said.headings = await page.evaluate(() =>
        [...document.querySelectorAll("h1, h2, h3, h4")].map((heading) => `${heading.tagName} ${heading.textContent.trim()}`));
      if (folder) {
        await page.pdf({ path: join(folder, "print.pdf"), format: "A4", printBackground: true });
      }
    }
    await context.close();
  }
}
await browser.close();
process.stdout.write(JSON.stringify(said, null, 2) + "\n");
