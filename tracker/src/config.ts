/**
 * What the edge says of the funnel (it writes this object into the script), and what the page's own
 * script element adds. The page wins, because its author sees what the funnel's manifest can't know.
 */

import { params } from "./query";

/** Keys are those of `runtime/sinal_runtime/ingest/script.py`. */
export interface Config {
  key: string; // the funnel's public key
  tenant: string; // slug
  batch: string; // the batch endpoint: an address, one without a scheme (`//host/path`), or a path
  consent: boolean; // what no answer means: true is granted
  early: boolean; // cookies before consent
  hosts: string[]; // landing hosts, "*.example.com" allowed
}

export interface Options {
  batchUrl: string;
  pairing: boolean; // with the page's own fbq
  automatic: boolean; // page views without being asked
  ignored: string; // parameters that do not make another page, by commas
}

/** Options of this page: `data-collect`, `data-pixel` … of the script element, or the same words in its address. */
export function readOptions(config: Config, page: Document): Options {
  // A classic script is current while it runs; one that was bundled as a module has to be searched for.
  const element = (page.currentScript || page.querySelector(`script[src*="${config.key}"]`)) as HTMLScriptElement | null;
  const address = (element && element.src) || page.baseURI;
  // Tag managers strip attributes.
  const said = (name: string) => {
    const written = element && element.getAttribute("data-" + name);
    return written == null ? params(address).get(name) : written;
  };
  return {
    batchUrl: new URL(said("collect") || config.batch, address).href,
    pairing: said("pixel") !== null,
    automatic: said("auto") !== "false",
    ignored: said("ignore") || "",
  };
}

/** Whether a host is one of the landing hosts, as the edge judges it: `*.x` is every name below x, not x itself. */
export const isLanding = (host: string, patterns: readonly string[]): boolean =>
  patterns.some((pattern) => (pattern[0] === "*" ? host.endsWith(pattern.slice(1)) : host === pattern));
