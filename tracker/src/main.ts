/** Entry of s.js: puts the parts together, gives the page its one global, and takes the calls made before it came. */

import { readOptions, type Config } from "./config";
import { ANSWER } from "./consent";
import { watchLinks } from "./decorate";
import { more } from "./events";
import { watchMarks } from "./marks";
import { watchPages } from "./pages";
import { purchaseId } from "./purchase";
import { absolute } from "./query";
import { listen, quiet, warn } from "./quiet";
import { openTracker } from "./tracker";

/** The edge writes the funnel's configuration here. */
declare const SINAL_CONFIG: Config;

type Call = (...words: any[]) => unknown;
type Global = Call & Record<string, any>; // its methods, `key`, and before we came `q`

/** What has our name: nothing, the stub, we, or an element of the page, since "sinal" is a word of Portuguese. */
const page = window as { sinal?: Partial<Global> };

function run(config: Config, early: any[][]): void {
  const options = readOptions(config, document);
  more.push(...options.ignored.split(","));
  const tracker = openTracker(config, options);
  const { outbox, visitor } = tracker;
  let again: Call = () => 0;
  const api: Record<string, Call> = {
    track: tracker.track,
    identify: tracker.identify,
    consent: (said) => {
      tracker.consent(said);
      again();
    },
    ready: (act: Call) => act(sinal),
    visitor: () => ({ ...visitor.ids(), utm: visitor.touches() }),
    // The buyer is led to what this gives.
    decorate: (url, gateway) => quiet(() => tracker.load(absolute(url), gateway, true))() || url,
    purchaseId: (sale) => purchaseId(config.tenant, sale).catch(warn),
  };
  const names = Object.keys(api);
  const sinal: Global = (said, ...rest) => (names.includes(said) ? sinal[said](...rest) : sinal.track(said, ...rest));
  names.forEach((name) => (sinal[name] = quiet(api[name] as Call)));
  sinal.key = config.key;
  page.sinal = sinal;

  // The last answer given before we came holds for the first page view too.
  const isAnswer = (call: any[]) => call[0] === "consent";
  early.filter(isAnswer).slice(-1).forEach((call) => sinal(...(call as [any])));
  quiet(tracker.open)(document.referrer);
  early.forEach((call) => isAnswer(call) || sinal(...(call as [any])));

  quiet(watchPages)(tracker.open);
  quiet(watchMarks)(tracker.track);
  again = quiet(watchLinks)(tracker.load) || again;
  listen("online", outbox.again);
  listen("storage pageshow", ({ key, persisted }) => {
    outbox.wake();
    if (persisted || key === ANSWER || key === null) {
      tracker.heed();
      again();
    }
    if (persisted) tracker.open();
  });
  listen("pagehide visibilitychange", tracker.leave);
}

/** Once a page: a second script element changes nothing. A prerendered page has been seen by nobody yet. */
const start = quiet(() => {
  const there: Record<string, any> = typeof page.sinal === "function" ? page.sinal : {};
  const config = SINAL_CONFIG;
  if (!there.key) run(config, there.q || []);
  else if (there.key !== config.key) warn(`${config.key} is left out: ${there.key} is here`);
});
if ((document as { prerendering?: boolean }).prerendering) addEventListener("prerenderingchange", start, true);
else start();
