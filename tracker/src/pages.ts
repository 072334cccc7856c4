/** Tells of page changes inside a single-page application, however its router makes them. */

import { samePage } from "./events";
import { listen, quiet } from "./quiet";

/** Calls `changed(from)` when the address has become another page's; `from` is the address before. */
export function watchPages(changed: (from: string) => void): void {
  let last = location.href;
  const look = quiet(() => {
    const from = last;
    last = location.href;
    if (samePage(from) !== samePage(last)) changed(from);
  });
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = function (this: History, ...args: Parameters<History["pushState"]>) {
      const result = original.apply(this, args);
      look();
      return result;
    };
  }
  listen("popstate hashchange", look);
}
