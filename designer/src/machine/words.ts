// What the machine's pages say, loaded with them.
import en from '../../messages/machines.en.json';
import zh from '../../messages/machines.zh-CN.json';
import { wordsOf } from '../shell/words';

export const { w, named } = wordsOf(en, zh);
