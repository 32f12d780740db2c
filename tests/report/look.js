// Opens pages of `report` in Chromium, in both color schemes, wide and narrow, and on paper, and
// fails where axe finds something serious, where a page scrolls sideways, asks for anything, runs a
// script, is too large, or takes too long to open.
//
//   node look.js CHROMIUM PAGE...      with SHOTS=FOLDER it keeps pictures there

import { readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const MOST_BYTES = 2_000_000;
const MOST_MS = 1000;
// axe looks at each element that is drawn: at most so many are unfolded for it.
const MOST_CELLS = 1000;
// Pictures of larger pages take minutes.
const MOST_PICTURED = 200_000;

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const [executablePath, ...pages] = process.argv.slice(2);
const problems = [];

const flags = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
const browser = await chromium.launch({ executablePath, args: flags });
for (const path of pages) {
  const bytes = statSync(path).size;
  if (bytes >= MOST_BYTES) problems.push(`${path} has ${bytes} bytes`);
  const looks = [['light', 1280], ['dark', 390], ['light', 390], ['dark', 1280]];
  for (const [colorScheme, width] of looks) {
    // Of a large page, each scheme and each width once.
    if (bytes > MOST_PICTURED && (colorScheme === 'light') !== (width === 1280)) continue;
    await look(path, bytes, colorScheme, width);
  }
}
await browser.close();
for (const problem of problems) console.error(`report: ${problem}`);
process.exit(problems.length > 0 ? 1 : 0);

async function look(path, bytes, colorScheme, width) {
  const name = `${basename(path)}, ${colorScheme}, ${width} pixels`;
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
  const page = await context.newPage();
  const url = pathToFileURL(path).href;
  page.on('request', request => {
    if (request.url() !== url) problems.push(`${name}: asks for ${request.url()}`);
  });
  page.on('console', message => problems.push(`${name}: ${message.text()}`));
  // The machine may be busy: the best of three tells what the page takes.
  let best = Infinity;
  for (let n = 0; n < 3; n++) {
    const start = performance.now();
    await page.goto(url);
    best = Math.min(best, performance.now() - start);
  }
  if (best > MOST_MS) problems.push(`${name}: took ${best.toFixed()} ms to open`);
  const facts = await page.evaluate(most => {
    const details = [...document.querySelectorAll('details')];
    const wide = document.documentElement.scrollWidth - innerWidth;
    let cells = 0;
    for (const one of details) {
      cells += one.querySelectorAll('td, th').length;
      one.open = cells <= most;
    }
    const overflow = document.documentElement.scrollWidth - innerWidth;
    return { wide: Math.max(wide, overflow), scripts: document.scripts.length };
  }, MOST_CELLS);
  if (facts.wide > 0) problems.push(`${name}: scrolls sideways by ${facts.wide} pixels`);
  if (facts.scripts > 0) problems.push(`${name}: has ${facts.scripts} scripts`);
  if (process.env.SHOTS && bytes <= MOST_PICTURED) {
    const shot = `${basename(path, '.html')}-${colorScheme}-${width}`;
    await page.screenshot({ path: join(process.env.SHOTS, `${shot}.png`), fullPage: true });
    await page.pdf({ path: join(process.env.SHOTS, `${shot}.pdf`), preferCSSPageSize: true });
  }
  // The first stop of the Tab key leads past the navigation.
  await page.keyboard.press('Tab');
  const first = await page.evaluate(() => document.activeElement.getAttribute('href'));
  if (first !== '#main') problems.push(`${name}: Tab leads to ${first} first`);
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run());
  for (const { id, impact, help, nodes } of found.violations) {
    const words = `${name}: ${impact}: ${id}: ${help}: ${nodes[0].html.slice(0, 160)}`;
    if (['serious', 'critical'].includes(impact)) problems.push(words);
    else console.log(`report: ${words}`);
  }
  const passes = found.passes.length;
  console.log(`report: ${name}: ${bytes} bytes, ${best.toFixed()} ms, ${passes} rules of axe`);
  await context.close();
}
