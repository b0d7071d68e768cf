// Names of the connections an administrator has made, offered where a plugin's setting asks for one.
import { api } from '../api/client';

let names = $state.raw<string[] | null>(null);
let asked = false;

export function connections(): string[] {
  if (!asked) {
    asked = true;
    api.connections().then(
      (page) => {
        names = page.items.map((one) => one.name);
      },
      () => {},
    );
  }
  return names ?? [];
}
