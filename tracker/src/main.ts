/** Entry of s.js: puts the parts together, gives the page its one global, and takes the calls made before it came. */

import { key, options, tenant } from "./config";
import { ANSWER } from "./consent";
import { decorateAll, decorated, watchLinks } from "./decorate";
import { added } from "./events";
import { watchMarks } from "./marks";
import { watchPages } from "./pages";
import { more } from "./more";
import { listen, quiet, warn } from "./quiet";
import { consent, heed, identify, leave, open, outbox, track } from "./tracker";
import { ids, touches } from "./visitor";

type Call = (...words: any[]) => unknown;
type Global = Call & Record<string, any>; // its methods, `key`, and before we came `q`

/** What has our name: nothing, the stub, we, or an element of the page, since "sinal" is a word of Portuguese. */
const page = window as { sinal?: Partial<Global> };

function run(calls: any[][]): void {
  added.push(...options.ignored.split(","));
  const api: Record<string, Call> = {
    track,
    identify,
    consent,
    ready: (act: Call) => act(sinal),
    visitor: () => ({ ...ids(), utm: touches() }),
    decorate: decorated,
    purchaseId: (sale) => more((second) => second.purchaseId(tenant, sale)),
  };
  const names = Object.keys(api);
  const sinal: Global = (said, ...rest) => (names.includes(said) ? sinal[said](...rest) : sinal.track(said, ...rest));
  names.forEach((name) => (sinal[name] = quiet(api[name] as Call)));
  sinal.key = key;
  page.sinal = sinal;

  // The last answer given before we came holds for the first page view too.
  const isAnswer = (call: any[]) => call[0] === "consent";
  calls.filter(isAnswer).slice(-1).forEach((call) => sinal(...(call as [any])));
  quiet(open)(document.referrer);
  calls.forEach((call) => isAnswer(call) || sinal(...(call as [any])));

  [watchPages, watchMarks, watchLinks].forEach((watch) => quiet(watch)());
  listen("online", outbox.again);
  listen("storage pageshow", ({ key: name, persisted }) => {
    outbox.wake();
    if (persisted || name === ANSWER || name === null) {
      heed();
      decorateAll();
    }
    if (persisted) open();
  });
  listen("pagehide visibilitychange", leave);
}

/** Once a page: a second script element changes nothing. A prerendered page has been seen by nobody yet. */
const start = quiet(() => {
  const there: Record<string, any> = typeof page.sinal === "function" ? page.sinal : {};
  if (!there.key) run(there.q || []);
  else if (there.key !== key) warn(`${key} beside ${there.key}`);
});
if ((document as { prerendering?: boolean }).prerendering) listen("prerenderingchange", start);
else start();
