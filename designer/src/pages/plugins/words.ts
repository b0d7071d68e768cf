// What the plugins page says.
import en from '../../../messages/plugins.en.json';
import zh from '../../../messages/plugins.zh-CN.json';
import { wordsOf } from '../../shell/words';

export const { w, named } = wordsOf(en, zh);
