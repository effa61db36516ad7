// What a real Chromium makes of the dashboard, in scenes; dashboard_page_test.cc
// starts them, with a server.
//
// Usage: node dashboard_page.mjs CHROMIUM URL SCENE
//
// Says "please WHAT" where the server's side is to do something, and waits for a
// line; writes what went wrong, and then exits with 1.
import assert from 'node:assert/strict';
import {createInterface} from 'node:readline';
import {Chromium} from './chromium.mjs';

const [, , program, url, scene] = process.argv;
const answers = createInterface({input: process.stdin})[Symbol.asyncIterator]();

async function please(what) {
  process.stdout.write(`please ${what}\n`);
  await answers.next();
}

const CARDS = `[...document.querySelectorAll('.card')]`;
const NAMES = `${CARDS}.map(card => card.querySelector('h3').textContent)`;
const namesAre = names => `JSON.stringify(${NAMES}) === ${JSON.stringify(JSON.stringify(names))}`;
const stateOf = name => `${CARDS}.find(card => card.querySelector('h3').textContent === '${name}')?.dataset.state`;
const focused = `document.activeElement.textContent`;
const set = (id, value, event) => `(node => { node.value = ${JSON.stringify(value)}; node.dispatchEvent(new Event('${event}')); })(document.getElementById('${id}'))`;
const SETTLED = `new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))`;

async function openPage(browser, options, hash = '') {
  const page = await browser.newPage(options);
  await page.open(url + hash);
  await page.until(`document.readyState === 'complete' && ${CARDS}.length > 0`, 'cards');
  await page.evaluate(SETTLED);
  return page;
}

function expectQuiet(page) {
  assert.deepEqual(page.errors, [], 'the console is empty');
  const outside = page.requests.filter(request => !request.startsWith(url) && !request.startsWith('data:'));
  assert.deepEqual(outside, [], 'nothing is loaded from elsewhere');
}

// ---- Contrast, by WCAG 2 ---------------------------------------------------

// Of each text in sight against what is behind it.
const CONTRASTS = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const parse = color => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => below.map((value, i) => i === 3 ? 1 : top[i] * top[3] + value * (1 - top[3]));
  const behind = node => {
    const layers = [];
    for (; node !== null; node = node.parentElement) {
      layers.push(parse(getComputedStyle(node).backgroundColor));
      if (layers[layers.length - 1][3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), parse(getComputedStyle(document.body).backgroundColor));
  };
  const luminance = ([r, g, b]) => [r, g, b].map(value => value / 255)
      .map(value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
      .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
  const result = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const box = node.getBoundingClientRect();
    if (walker.currentNode.textContent.trim() === '' || box.width < 2 || !node.checkVisibility() || ['SCRIPT', 'STYLE', 'OPTION'].includes(node.tagName)) continue;
    if (node.closest('.hidden, .skip, :disabled') !== null) continue;
    const below = behind(node);
    const style = getComputedStyle(node);
    const a = luminance(over(parse(style.color), below)), b = luminance(below);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    if (contrast < (large ? 3 : 4.5)) result.push(node.className + ' "' + walker.currentNode.textContent.slice(0, 30) + '" ' + contrast.toFixed(2));
  }
  return [...new Set(result)];
})()`;

// ---- Names and roles, as screen readers get them ---------------------------

async function expectLabels(page) {
  const {nodes} = await page.send('Accessibility.getFullAXTree');
  const value = field => field?.value ?? '';
  const nameless = nodes.filter(node => !node.ignored && value(node.name).trim() === '' &&
      ['button', 'textbox', 'searchbox', 'combobox', 'checkbox', 'link', 'dialog', 'image', 'form', 'table', 'region'].includes(value(node.role)));
  assert.deepEqual(nameless.map(node => value(node.role)), [], 'everything has a name');
  const roles = nodes.filter(node => !node.ignored).map(node => value(node.role));
  for (const role of ['main', 'banner', 'search', 'complementary', 'list', 'status']) assert(roles.includes(role), `there is a ${role}`);
  assert.equal(await page.evaluate(`document.querySelectorAll('h1').length`), 1);
  assert.deepEqual(await page.evaluate(`[...document.querySelectorAll('[id]')].map(node => node.id).filter((id, i, all) => all.indexOf(id) !== i)`), [], 'ids are unique');
  assert.deepEqual(await page.evaluate(`[...document.querySelectorAll('[aria-labelledby], [aria-describedby]')]
      .flatMap(node => (node.getAttribute('aria-labelledby') + ' ' + node.getAttribute('aria-describedby')).split(' '))
      .filter(id => id !== 'null' && document.getElementById(id) === null)`), [], 'what they name is there');
  assert.deepEqual(await page.evaluate(`[...document.querySelectorAll('button, select, input')].filter(node => node.checkVisibility())
      .map(node => [node.id || node.textContent, node.getBoundingClientRect()])
      .filter(([, box]) => box.width > 2 && (box.height < 17.5 || box.width < 24)).map(([name]) => name)`), [], 'what is to be hit is large enough');
}

// ---- Scenes ----------------------------------------------------------------

const SCENES = {
  // Three breakers: Alpha and Bravo of shop, Charlie of pay.
  async use(browser) {
    const page = await openPage(browser);
    await page.until(namesAre(['Charlie', 'Alpha', 'Bravo']), 'no trouble');
    await please('open Bravo');
    await page.until(namesAre(['Bravo', 'Charlie', 'Alpha']), 'trouble first');
    assert.equal(await page.evaluate(stateOf('Bravo')), 'OPEN');
    await page.until(`/^Open for .*1 consecutive failure/.test(document.querySelector('.card .cause').textContent)`, 'the cause');
    assert.equal(await page.evaluate(`document.title`), '(1 open) Circuit breakers');
    await page.until(`document.querySelector('.event .what')?.textContent.includes('CLOSED → OPEN: 1 consecutive failure')`, 'the timeline');

    // Also those that are left out where the order is chosen.
    await page.evaluate(set('text', 'charlie', 'input'));
    await page.until(namesAre(['Charlie']), 'the filter');
    await page.evaluate(set('sort', 'name', 'change'));
    await page.evaluate(set('text', '', 'input'));
    await page.until(`${CARDS}.length === 3`, 'all of them');
    assert.deepEqual(await page.evaluate(NAMES), ['Charlie', 'Alpha', 'Bravo'], 'by name, with services');

    // By keys alone.
    await page.press('/');
    assert.equal(await page.evaluate(`document.activeElement.id`), 'text');
    await page.type('bravo');
    await page.until(namesAre(['Bravo']), 'the filter');
    assert.equal(await page.evaluate(`document.getElementById('count').textContent`), '1 of 3');
    assert.match(await page.evaluate(`location.hash`), /q=bravo/);
    await page.press('Escape');
    await page.until(`${CARDS}.length === 3`, 'all of them');
    await page.press('ArrowDown');
    await page.press('End');
    assert.equal(await page.evaluate(focused), 'Bravo');
    await page.press('Home');
    assert.equal(await page.evaluate(focused), 'Charlie');
    await page.press('ArrowRight');
    assert.equal(await page.evaluate(focused), 'Alpha');
    assert.equal(await page.evaluate(`getComputedStyle(document.activeElement.closest('.card')).outlineStyle`), 'solid', 'the focus is seen');
    assert.equal(await page.evaluate(`document.querySelectorAll('.card button[tabindex="0"]').length`), 1);
    await page.press('Enter');
    assert.equal(await page.evaluate(`document.activeElement.id`), 'details');
    assert.equal(await page.evaluate(`document.getElementById('details-title').textContent`), 'Alpha');
    await page.until(`document.getElementById('details').textContent.includes('1 failure in a row')`, 'the policy');
    await page.press('Escape');
    assert.equal(await page.evaluate(focused), 'Alpha', 'the focus is back');
    assert.equal(await page.evaluate(`document.getElementById('details').hidden`), true);
    await page.press('?');
    assert.equal(await page.evaluate(`document.getElementById('help').open`), true);
    await page.press('Escape');
    assert.equal(await page.evaluate(`document.getElementById('help').open`), false);

    await page.evaluate(`document.querySelector('.chip[data-state="OPEN"]').click()`);
    await page.until(namesAre(['Bravo']), 'the state');
    assert.equal(await page.evaluate(`document.querySelector('.chip[data-state="OPEN"]').getAttribute('aria-pressed')`), 'true');
    // What is chosen stays where the page is loaded again.
    await page.send('Page.reload');
    await page.until(`document.readyState === 'complete' && ${namesAre(['Bravo'])}`, 'the state after a reload');
    expectQuiet(page);
  },

  // Alpha, Bravo and Charlie are in process one; Delta, which is open, in two.
  async processes(browser) {
    const countIs = text => `document.getElementById('count').textContent === '${text}'`;
    const process = `document.getElementById('process').value`;
    const openOnes = `document.querySelector('.chip[data-state="OPEN"] b').textContent`;
    const failed = `document.getElementById('total-failed').textContent`;
    const page = await openPage(browser, {}, '#process=two');
    await page.until(countIs('1 of 4'), 'the process that the address says');
    assert.deepEqual(await page.evaluate(NAMES), ['Delta']);
    assert.equal(await page.evaluate(process), 'two');
    assert.equal(await page.evaluate(`location.hash`), '#process=two');
    await page.evaluate(`location.hash = 'process=one'`);
    await page.until(countIs('3 of 4'), 'the process that it says later');
    assert.equal(await page.evaluate(process), 'one');
    await page.evaluate(`location.hash = 'process=three'`);
    await page.until(countIs('4'), 'all, where there is no such process');
    assert.equal(await page.evaluate(process), '');

    assert.equal(await page.evaluate(`document.title`), '(1 open) Circuit breakers');
    assert.equal(await page.evaluate(openOnes), '1');
    assert.equal(await page.evaluate(failed), '0');
    await please('stop two');
    await page.until(`document.title === 'Circuit breakers'`, 'none to be known as open');
    assert.equal(await page.evaluate(openOnes), '0');
    assert.equal(await page.evaluate(failed), '–');
    assert.equal(await page.evaluate(stateOf('Delta')), 'OPEN', 'what was known is still shown');
    expectQuiet(page);
  },

  // Charlie opened before the server began to keep events.
  async before(browser) {
    const page = await openPage(browser);
    await page.until(`/^Open for .*1 consecutive failure/.test(document.querySelector('.card .cause').textContent)`, 'the cause');
    assert.equal(await page.evaluate(`document.getElementById('no-events').hidden`), false);
    expectQuiet(page);
  },

  async opens(browser) {
    const page = await openPage(browser);
    const took = [];
    // What else runs on this machine may delay one.
    for (const name of ['Alpha', 'Bravo', 'Delta']) {
      await page.until(`${stateOf(name)} === 'CLOSED'`, name);
      const begin = Date.now();
      await please(`open ${name}`);
      await page.until(`${stateOf(name)} === 'OPEN'`, `${name} to be open`);
      took.push(Date.now() - begin);
      if (took[took.length - 1] < 1000) break;
    }
    assert(Math.min(...took) < 1000, `seen within a second, not after ${took} ms`);
    await page.until(`/is open/.test(document.getElementById('live').textContent)`, 'screen readers to be told');
    expectQuiet(page);
  },

  async readable(browser) {
    for (const theme of ['dark', 'light']) {
      const page = await openPage(browser, {theme});
      if (theme === 'dark') await please('open Charlie');
      await page.until(`${stateOf('Charlie')} === 'OPEN'`, 'Charlie to be open');
      await page.until(`document.querySelectorAll('.event').length > 0`, 'the timeline');
      assert.equal(await page.evaluate(`document.documentElement.dataset.theme`), theme);
      assert.deepEqual(await page.evaluate(CONTRASTS), [], `contrast, ${theme}`);
      await expectLabels(page);
      await page.evaluate(`${CARDS}[0].querySelector('button').click()`);
      await page.until(`document.getElementById('details').textContent.includes('Opens after')`, 'the policy');
      assert.deepEqual(await page.evaluate(CONTRASTS), [], `contrast of details, ${theme}`);
      await expectLabels(page);
      await page.press('Escape');
      await page.press('?');
      assert.deepEqual(await page.evaluate(CONTRASTS), [], `contrast of help, ${theme}`);
      expectQuiet(page);
      await page.close();
    }
    const page = await openPage(browser);
    await page.evaluate(`document.getElementById('theme').click()`);
    await page.evaluate(`document.getElementById('theme').click()`);
    assert.equal(await page.evaluate(`document.documentElement.dataset.theme`), 'light', 'system, dark, light');
  },

  async phone(browser) {
    const page = await openPage(browser, {width: 360, height: 740, mobile: true, scale: 2});
    assert.equal(await page.evaluate(`document.documentElement.scrollWidth`), 360, 'nothing sticks out');
    assert.deepEqual(await page.evaluate(`${CARDS}.filter(card => card.getBoundingClientRect().right > 360).length`), 0);
    await page.evaluate(`${CARDS}[0].querySelector('button').click()`);
    await page.until(`document.getElementById('details').textContent.includes('Opens after')`, 'the policy');
    assert.equal(await page.evaluate(`document.getElementById('details').scrollWidth`), 360);
    expectQuiet(page);
  },

  async calm(browser) {
    for (const reducedMotion of [false, true]) {
      const page = await openPage(browser, {reducedMotion});
      const moves = await page.evaluate(`getComputedStyle(document.querySelector('.card')).transitionDuration`);
      assert.equal(moves === '0s', reducedMotion);
      assert.equal(await page.evaluate(`(card => { card.classList.add('opened'); return getComputedStyle(card).animationName; })(document.querySelector('.card'))`) === 'none', reducedMotion);
    }
  },

  // The server goes away and comes back.
  async lost(browser) {
    const page = await openPage(browser);
    assert.equal(await page.evaluate(`document.getElementById('lost').hidden`), true);
    await please('stop');
    await page.until(`!document.getElementById('lost').hidden`, 'the banner');
    assert.equal(await page.evaluate(`document.getElementById('link-text').textContent`), 'Reconnecting');
    assert.equal(await page.evaluate(`${CARDS}.length`), 4, 'what was known is still shown');
    await please('start');
    await page.until(`document.getElementById('lost').hidden`, 'the server');
    assert.equal(await page.evaluate(`document.getElementById('link-text').textContent`), 'Live');
    await please('open Alpha');
    await page.until(`${stateOf('Alpha')} === 'OPEN'`, 'what is new');
  },

  // Names that would be markup, if they were taken for it.
  async hostile(browser) {
    const page = await openPage(browser);
    await page.until(`document.body.textContent.includes('<img src=x onerror=')`, 'the name as text');
    assert.equal(await page.evaluate(`document.querySelectorAll('img, iframe, [onerror]').length`), 0);
    assert.equal(await page.evaluate(`window.attacked === undefined`), true);
    expectQuiet(page);
  },

  async changes(browser) {
    const page = await openPage(browser);
    await page.evaluate(`${CARDS}.find(card => card.textContent.includes('Alpha')).querySelector('button').click()`);
    await page.evaluate(`document.querySelector('input[name=reason]').focus()`);
    await page.type('bad deploy');
    await page.press('Enter');
    await page.until(`document.querySelector('.go p').textContent === 'Done.'`, 'the change');
    await page.until(`${stateOf('Alpha')} === 'FORCED_OPEN'`, 'Alpha to be held');
    await page.until(`document.querySelector('.details .say').textContent.includes('bad deploy')`, 'the reason');
    await please('refuse');
    await page.evaluate(`document.querySelector('input[name=reason]').focus()`);
    await page.press('Enter');
    await page.until(`document.querySelector('.go p').textContent === 'Refused: ask ops'`, 'the refusal');
    await page.until(`document.getElementById('timeline').textContent.includes('was refused to hold it open')`, 'the audit');
    assert.deepEqual(page.errors.filter(error => !error.includes('403')), []);
  },

  // 500 of them, with calls all the time.
  async many(browser) {
    const page = await openPage(browser);
    await page.until(`${CARDS}.length === 500`, 'all');
    await page.until(`document.querySelectorAll('.card .disc:not(.h0)').length > 400`, 'calls');
    await page.evaluate(`(() => {
      window.seen = {long: [], frames: [], made: 0, last: performance.now()};
      new PerformanceObserver(list => { for (const entry of list.getEntries()) seen.long.push(entry.duration); }).observe({entryTypes: ['longtask']});
      new MutationObserver(list => { for (const change of list) seen.made += [...change.addedNodes].filter(node => node.matches?.('.card')).length; })
          .observe(document.getElementById('breakers'), {childList: true});
      const frame = () => { const now = performance.now(); seen.frames.push(now - seen.last); seen.last = now; requestAnimationFrame(frame); };
      requestAnimationFrame(frame);
    })()`);
    const metrics = async () => Object.fromEntries((await page.send('Performance.getMetrics')).metrics.map(({name, value}) => [name, value]));
    await page.send('Performance.enable', {timeDomain: 'threadTicks'});
    // How much of its thread's time the page takes, and what it takes of frames.
    const watch = async milliseconds => {
      await page.evaluate(`seen.long = []; seen.frames = []`);
      const before = await metrics();
      await new Promise(resolve => setTimeout(resolve, milliseconds));
      const after = await metrics();
      const {long, frames} = await page.evaluate('seen');
      frames.sort((a, b) => a - b);
      const busy = (after.TaskDuration - before.TaskDuration) * 1000 / milliseconds;
      return {busy, text: `${(busy * 100).toFixed(0)} % of its thread's time, frames of ${frames[frames.length >> 1].toFixed(1)} ms, ` +
          `95 % within ${frames[Math.floor(frames.length * 0.95)].toFixed(1)} ms, ${long.length} tasks over 50 ms, the longest ${Math.max(0, ...long).toFixed(0)} ms`};
    };
    const still = await watch(5000);
    const made = await page.evaluate('seen.made');
    await page.evaluate(`{ let down = true; setInterval(() => { scrollBy(0, down ? 20 : -20); if (scrollY + innerHeight + 20 > document.body.scrollHeight) down = false; }, 30); }`);
    const scrolled = await watch(3000);
    console.log(`500 breakers: ${still.text}; scrolled: ${scrolled.text}; ${made} cards moved`);
    // By the time that its thread ran for, which others on this machine do not
    // lengthen.
    assert(still.busy < 0.4, `busy for ${still.busy} of the time`);
    // Cards are changed, not made anew.
    assert(made < 500, `${made} cards were put in`);
    expectQuiet(page);
  },
};

const browser = await Chromium.launch(program);
let failed = false;
try {
  await SCENES[scene](browser);
} catch (error) {
  console.log(error.stack);
  failed = true;
}
await browser.close();
process.exit(failed ? 1 : 0);
