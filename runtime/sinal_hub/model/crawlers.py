"""Programs that load pages by themselves: link previews, search engines, ad checkers, monitors,
headless browsers.

They click every ad and buy nothing, so what they do is recorded and neither matched nor sent. The
list is kept by hand, of what the owners of these programs publish (Meta's and Google's pages of
crawlers, OpenAI, Microsoft, the monitors' own pages) and checked against
github.com/monperrus/crawler-user-agents. Only what calls itself one is known: no address is looked
up. A library of HTTP (`curl`, `python-requests`) is not on it, because a shop's server may well
leave its own name where the visitor's belongs.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Parts of a user agent, in lower case, that no browser of a person has; with commas between.
_META = """
facebookexternalhit, facebookcatalog, facebookplatform, facebot, meta-external, meta-webindexer
"""
_SEARCH_AND_ADS = """
mediapartners-google, apis-google, feedfetcher-google, appengine-google,
adsbot, google-, googleagent, googleimageproxy, googleproducer, googlemessages, googleassociation, googledocs,
googleother, chrome-lighthouse, duplexweb-google, gsa-crawler, bingpreview, microsoftpreview, adidx, msnbot, slurp,
yandex.com/bots, yandexmetrika, yandexdirect, baiduspider, 360spider, yisouspider, bytespider, tiktokspider, petalbot,
mail.ru_bot
"""
_PREVIEWS = """
skypeuripreview, vkshare, embedly, iframely, opengraph, linkpreview, microlink, flipboardproxy, yahoomailproxy,
fastmailua, github-camo, pinterest/0, bitlybot, slack-imgproxy, slackbot-linkexpanding, whatsapp-preview, twitterbot,
linkedinbot, cardyb, redditbot, snap url preview, link preview, quora link
"""
_MODELS = """
chatgpt-user, oai-search, claude-user, claude-web, claude-search, anthropic-ai, perplexity-user, cohere-ai,
cohere-training, mistralai-user, gemini-deep-research, duckassist, youbot, diffbot, firecrawl
"""
_SEO = """
sitebulb, siteaudit, siteimprove, seokicks, megaindex, mj12, ia_archiver, archive.org, heritrix, nutch, scrapy,
w3c_validator, w3c-checklink, validator.nu, wappalyzer, builtwith, netcraft, censys, shodan, zgrab, masscan, nmap,
nikto, nuclei, screaming frog
"""
_MONITORS = """
uptimerobot, pingdom, statuscake, site24x7, newrelic, datadog/synthetics, datadogsynthetics, gtmetrix, ptst/,
webpagetest, speedcurve, catchpoint, betteruptime, hetrixtools, freshping, checkly, nodeping, updown.io, uptrends,
monitis, montastic, dareboost, dotcom-monitor, dynatrace, ruxitsynthetic, appdynamics, elastic-heartbeat, zabbix,
check_http, blackbox-exporter, uptime-kuma, kube-probe, googlehc, elb-healthchecker, amazon-route53-health-check,
cloudflare-healthchecks, cloudflare-alwaysonline, cloudflare-traffic, googlestackdrivermonitoring,
azure-traffic-manager, pagespeed, yellowlab, sentryuptime, phpservermon, jetmon, statping, gatus, thousandeyes,
silktide, better uptime, better stack, blackbox exporter, uptime kuma, oh dear, new relic
"""
_DRIVEN = """
headlesschrome, testcafe, phantomjs, slimerjs, puppeteer, playwright, selenium, webdriver, cypress/, htmlunit,
prerender, rendertron, splash/, casperjs, browsershot, wkhtmlto, headless chrome, ghost inspector
"""
_TABLES = (_META, _SEARCH_AND_ADS, _PREVIEWS, _MODELS, _SEO, _MONITORS, _DRIVEN)
_WORDS = tuple(" ".join(word.split()) for table in _TABLES for word in table.split(","))
# Programs that say what they are: `SomeBot/1.0`, `some-crawler`, or where to read of them:
# `(+https://…)`. A phone is called CUBOT.
_SAYS_SO = re.compile(
    r"(?<!cu)bots?(?=[^a-z]|$)|crawl|spider|scraper|harvester|\+ "
    r"?https?:|checker|validator|monitor|uptime|synthetic"
    r"|scanner|inspector|screenshot|(?:fetch|index|audit)(?:er|or|bot)?/"
)
_WHATSAPP = "whatsapp"  # the app opens links in a browser; only its preview calls itself so


@lru_cache(maxsize=8_192)  # a visitor sends several events, and few browsers make most visits
def is_crawler(user_agent: str | None) -> bool:
    """Whether a user agent is one of a program that loads pages by itself."""
    if not user_agent:
        return False
    text = user_agent.lower()
    return (
        text.startswith(_WHATSAPP)
        or any(word in text for word in _WORDS)
        or _SAYS_SO.search(text) is not None
    )
