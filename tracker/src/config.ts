/**
 * What the edge says of the funnel (it writes this object into the script), and what the page's own
 * script element adds. The page wins, because its author sees what the funnel's manifest can't know.
 */

/** Keys are those of `runtime/sinal_runtime/ingest/script.py`. */
export interface Config {
  key: string; // the funnel's public key
  tenant: string; // slug
  path: string; // "" on a tenant's own host, "/t/<slug>" on the shared one
  consent: boolean; // what no answer means: true is granted
  early: boolean; // cookies before consent
  hosts: string[]; // landing hosts, "*.example.com" allowed
}

export interface Options {
  batchUrl: string;
  pairing: boolean; // with the page's own fbq
  automatic: boolean; // page views without being asked
}

/** Options of this page: `data-collect`, `data-pixel` and `data-auto` of the script element. */
export function readOptions(config: Config, page: Document): Options {
  // A classic script is current while it runs; one that was bundled as a module has to be searched for.
  const element = (page.currentScript || page.querySelector(`script[src*="${config.key}"]`)) as HTMLScriptElement | null;
  const data: DOMStringMap = element?.dataset ?? {};
  return {
    batchUrl: data.collect || new URL(config.path + "/api/v1/track/batch", element?.src || page.baseURI).href,
    pairing: "pixel" in data,
    automatic: data.auto !== "false",
  };
}

/** Whether a host is one of the landing hosts, as the edge judges it: `*.x` is every name below x, not x itself. */
export function isLanding(host: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => (pattern[0] === "*" ? host.endsWith(pattern.slice(1)) : host === pattern));
}
