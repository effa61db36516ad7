// Drives a headless Chromium over the pipe of its debugging protocol: no library
// is needed for that.
import {spawn} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

export class Chromium {
  static async launch(program) {
    const browser = new Chromium();
    browser.folder = mkdtempSync(join(tmpdir(), 'dashboard-chromium-'));
    browser.child = spawn(program, [
      '--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--no-first-run', '--disable-extensions',
      '--disable-component-update', '--disable-background-networking', '--disable-dev-shm-usage', '--no-default-browser-check',
      `--user-data-dir=${browser.folder}`, '--remote-debugging-pipe', 'about:blank',
    ], {stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], env: {...process.env, HOME: browser.folder}});
    browser.waiting = new Map();
    browser.listeners = [];
    browser.last = 0;
    let text = '';
    browser.child.stdio[4].setEncoding('utf8').on('data', data => {
      text += data;
      for (let end; (end = text.indexOf('\0')) >= 0; text = text.slice(end + 1)) browser.hear(JSON.parse(text.slice(0, end)));
    });
    browser.ended = new Promise(resolve => browser.child.on('exit', resolve));
    browser.ended.then(() => { for (const {reject} of browser.waiting.values()) reject(new Error('Chromium has ended')); });
    await browser.send('Browser.getVersion');
    return browser;
  }

  hear(message) {
    if (message.id === undefined) {
      for (const listener of this.listeners) listener(message);
      return;
    }
    const {resolve, reject} = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (message.error) reject(new Error(JSON.stringify(message.error))); else resolve(message.result);
  }

  send(method, params = {}, sessionId = undefined) {
    return new Promise((resolve, reject) => {
      const id = ++this.last;
      this.waiting.set(id, {resolve, reject});
      this.child.stdio[3].write(JSON.stringify({id, method, params, sessionId}) + '\0');
    });
  }

  async close() {
    this.send('Browser.close').catch(() => {});
    await this.ended;
    rmSync(this.folder, {recursive: true, force: true, maxRetries: 5});
  }

  // A page of its own, not yet anywhere.
  async newPage({width = 1440, height = 900, scale = 1, mobile = false, theme = 'dark', reducedMotion = false} = {}) {
    const {targetId} = await this.send('Target.createTarget', {url: 'about:blank'});
    const {sessionId} = await this.send('Target.attachToTarget', {targetId, flatten: true});
    const page = new Page(this, sessionId, targetId);
    this.listeners.push(message => { if (message.sessionId === sessionId) page.hear(message); });
    for (const domain of ['Page', 'Runtime', 'Network', 'Log', 'Accessibility']) await page.send(domain + '.enable');
    await page.send('Emulation.setDeviceMetricsOverride', {width, height, deviceScaleFactor: scale, mobile});
    await page.send('Emulation.setEmulatedMedia', {features: [
      {name: 'prefers-color-scheme', value: theme},
      {name: 'prefers-reduced-motion', value: reducedMotion ? 'reduce' : 'no-preference'}]});
    return page;
  }
}

const KEYS = {Enter: 13, Escape: 27, Tab: 9, ArrowLeft: 37, ArrowUp: 38, ArrowRight: 39, ArrowDown: 40, Home: 36, End: 35};

class Page {
  constructor(browser, session, target) {
    Object.assign(this, {browser, session, target, errors: [], requests: []});
  }

  hear({method, params}) {
    if (method === 'Runtime.exceptionThrown') this.errors.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === 'Runtime.consoleAPICalled' && ['error', 'warning', 'assert'].includes(params.type)) this.errors.push(JSON.stringify(params.args));
    if (method === 'Log.entryAdded' && ['error', 'warning'].includes(params.entry.level)) this.errors.push(params.entry.text + ' ' + (params.entry.url ?? ''));
    if (method === 'Network.requestWillBeSent') this.requests.push(params.request.url);
  }

  send(method, params) { return this.browser.send(method, params, this.session); }
  open(url) { return this.send('Page.navigate', {url}); }
  close() { return this.browser.send('Target.closeTarget', {targetId: this.target}); }

  async evaluate(expression) {
    const {result, exceptionDetails} = await this.send('Runtime.evaluate', {expression, returnByValue: true, awaitPromise: true});
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  // Until the expression is true: asked again and again.
  async until(expression, what, milliseconds = 20000) {
    const end = Date.now() + milliseconds;
    for (;;) {
      const value = await this.evaluate(expression);
      if (value) return value;
      if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  }

  async press(key) {
    const code = KEYS[key] ?? key.toUpperCase().charCodeAt(0);
    const text = key.length === 1 ? key : key === 'Enter' ? '\r' : undefined;
    await this.send('Input.dispatchKeyEvent', {type: text ? 'keyDown' : 'rawKeyDown', key, text, windowsVirtualKeyCode: code});
    await this.send('Input.dispatchKeyEvent', {type: 'keyUp', key, windowsVirtualKeyCode: code});
  }
  type(text) { return this.send('Input.insertText', {text}); }

  async screenshot() {
    const {data} = await this.send('Page.captureScreenshot', {format: 'png'});
    return Buffer.from(data, 'base64');
  }
}
