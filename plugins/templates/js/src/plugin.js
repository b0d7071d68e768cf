import { plugin, rejected } from 'stepwell';

export default plugin({
  name: 'my-plugin',
  version: '0.1.0',
  licence: 'Apache-2.0',
  nodes: {
    greet: {
      title: { en: 'Greet', 'zh-CN': '问候' },
      summary: { en: 'Says hello to somebody.', 'zh-CN': '向某人问好。' },
      category: 'text',
      input: {
        type: 'object',
        required: ['name'],
        properties: { name: { type: 'string', title: 'Who is greeted', 'x-title-zh-CN': '问候谁' } },
      },
      output: {
        type: 'object',
        required: ['text'],
        properties: { text: { type: 'string', title: 'Greeting', 'x-title-zh-CN': '问候语' } },
      },
      errors: { NO_NAME: 'There is nobody to greet' },
      examples: [{ title: 'Ada', input: { name: 'Ada' }, output: { text: 'Hello, Ada' } }],

      run({ input }) {
        if (input.name === '') throw rejected('NO_NAME', 'There is nobody to greet');
        return { text: `Hello, ${input.name}` };
      },
    },
  },
});
