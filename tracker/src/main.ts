/** Entry of s.js: puts the parts together, gives the page its one global, and takes the calls made before it came. */

import { readOptions, type Config } from "./config";
import { openConsent } from "./consent";
import { openJar } from "./cookies";
import { watchLinks } from "./decorate";
import { openDelivery } from "./delivery";
import type { Data } from "./events";
import { shortId } from "./ids";
import { watchMarks } from "./marks";
import { watchPages } from "./pages";
import { openPerson } from "./person";
import { purchaseId } from "./purchase";
import { absolute } from "./query";
import { openQueue } from "./queue";
import { listen, quiet } from "./quiet";
import { box } from "./store";
import { openTracker } from "./tracker";
import { openVisitor } from "./visitor";

/** The edge writes the funnel's configuration here. */
declare const SINAL_CONFIG: Config;

type Call = (...words: any[]) => unknown;
type Global = Call & Record<string, any>; // its methods, `key`, and before we came `q`
const page = window as { sinal?: Global };

function run(config: Config): void {
  const options = readOptions(config, document);
  const consent = openConsent(box, config.consent, config.early);
  const jar = openJar(document, location);
  const visitor = openVisitor(jar, box, consent, shortId);
  const person = openPerson();
  const queue = openQueue(box, consent.mayStore, config.key);
  const delivery = openDelivery(options.batchUrl, queue, config.key, person.of, consent.mayStore);
  const tracker = openTracker(config, options, consent, jar, visitor, person, queue, delivery, shortId);
  let again: (() => void) | undefined;

  const api: Record<string, Call> = {
    track: tracker.track,
    identify: tracker.identify,
    consent: (yes: boolean) => {
      tracker.consent(!!yes);
      again?.();
    },
    ready: (act: Call) => act(page.sinal),
    visitor: () => ({ ...visitor.ids(), utm: visitor.touches() }),
    decorate: (url: string, gateway?: string) => tracker.load(absolute(url), gateway, true),
    purchaseId: (sale: Data) => purchaseId(config.tenant, sale).catch(console.warn),
  };
  const sinal: Global = (word, ...rest) => (word in api ? sinal[word](...rest) : sinal.track(word, ...rest));
  for (const name in api) sinal[name] = quiet(api[name] as Call);
  const early: unknown[][] = page.sinal?.q ?? [];
  sinal.key = config.key;
  page.sinal = sinal;

  // An answer given before we came holds for the first page view too; to hear it twice changes nothing.
  early.forEach((call) => call[0] === "consent" && sinal(...call));
  quiet(tracker.open)(document.referrer);
  early.forEach((call) => sinal(...call));

  quiet(watchPages)(tracker.open);
  quiet(watchMarks)(tracker.track);
  again = quiet(watchLinks)(tracker.load);
  listen("online", delivery.again);
  listen("pageshow", delivery.wake);
  listen("pagehide visibilitychange", () => tracker.leave());
}

/** Once a page: a second script element changes nothing. A prerendered page has been seen by nobody yet. */
const start = quiet(() => {
  if (!page.sinal?.key) run(SINAL_CONFIG);
});
if ((document as { prerendering?: boolean }).prerendering) document.addEventListener("prerenderingchange", start);
else start();
