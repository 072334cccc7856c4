/** Tells of page changes inside a single-page application, however its router makes them. */

import { samePage } from "./events";
import { listen, quiet } from "./quiet";
import { open } from "./tracker";

/** A page is opened when the address has become another one's. */
export function watchPages(): void {
  let last = location.href;
  const look = quiet(() => {
    const from = last;
    last = location.href;
    if (samePage(from) !== samePage(last)) open(from);
  });
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = (...args) => {
      original.apply(history, args);
      look();
    };
  }
  listen("popstate hashchange", look);
  const { navigation } = window as { navigation?: EventTarget };
  if (navigation) navigation.addEventListener("currententrychange", look);
}

/**
 * The address that tells most of an ad: the page's, or the one it was opened with, because routers and "clean URL"
 * plugins take the query away before we come.
 */
export function landing(): string {
  const here = location.href;
  const opened = (performance.getEntriesByType("navigation")[0] || location as any).name || here;
  return /fbclid=./.test(here) || !/(fbclid|utm_\w+|_sl)=./.test(opened) ? here : opened;
}
