// The places worth looking at, each a way to get there from a signed-in page.
const visit = (path, ready) => async (page, engine) => {
  await page.goto(engine.url + path);
  await page.waitForSelector(ready);
  await page.waitForLoadState('networkidle').catch(() => {});
};

export const scenes = [
  {
    name: 'login',
    show: async (page, engine) => {
      await page.context().clearCookies();
      await page.goto(engine.url);
      await page.waitForSelector('form');
    },
  },
  { name: 'home', show: visit('/', '.tiles') },
  { name: 'flows', show: visit('/flows', '.cards') },
  {
    name: 'new-flow',
    show: async (page, engine) => {
      await visit('/flows', '.cards')(page, engine);
      await page.click('.page-head .btn.primary');
      await page.waitForSelector('dialog[open]');
      await page.fill('dialog .input', 'Refund an order');
    },
  },
  {
    name: 'palette',
    show: async (page, engine) => {
      await visit('/flows', '.cards')(page, engine);
      await page.keyboard.press('Control+k');
      await page.waitForSelector('dialog[open] [role=option]');
    },
  },
];

const designer = (key = 'community_order') => visit(`/flows/${key}`, '[data-face]');

scenes.push(
  { name: 'designer', show: designer() },
  {
    name: 'designer-node',
    show: async (page, engine) => {
      await designer()(page, engine);
      await page.click('[data-face=validate_stock]');
      await page.waitForTimeout(500);
    },
  },
  {
    name: 'designer-edge',
    show: async (page, engine) => {
      await designer()(page, engine);
      await page.click('[data-face=pay_check]');
      await page.click('.way >> nth=0');
      await page.waitForTimeout(500);
    },
  },
  { name: 'designer-order5', show: designer('order-5') },
);
