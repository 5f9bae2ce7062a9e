//! Referrer spam: sites that send visits only to appear in statistics.

use url::Url;

/// The registrable domains of frequent spammers. Sorted. Own selection; Matomo's public domain list
/// (<https://github.com/matomo-org/referrer-spam-list>) has many more.
#[rustfmt::skip]
const SPAM_DOMAINS: &[&str] = &[
    "100dollars-seo.com", "4webmasters.org", "7makemoneyonline.com", "adcash.com",
    "anticrawler.org", "baixar-musicas-gratis.com", "best-seo-offer.com", "best-seo-solution.com",
    "bestwebsitesawards.com", "blackhatworth.com", "buttons-for-website.com",
    "buttons-for-your-website.com", "buy-cheap-online.info", "cenoval.ru", "cityadspix.com",
    "darodar.com", "descargar-musica-gratis.net", "econom.co", "event-tracking.com",
    "fbdownloader.com", "free-share-buttons.com", "free-social-buttons.com",
    "get-free-traffic-now.com", "ghostvisitor.com", "googlsucks.com", "guardlink.org",
    "hulfingtonpost.com", "humanorightswatch.org", "ilovevitaly.com", "iskalko.ru",
    "kabbalah-red-bracelets.com", "kambasoft.com", "luxup.ru", "makemoneyonline.com",
    "o-o-6-o-o.com", "ok.tc", "ooo-gazeta.ru", "pornhub-forum.ga", "priceg.com", "prodvigator.ua",
    "rankings-analytics.com", "ranksonic.info", "ranksonic.org", "s.click.aliexpress.com.ru",
    "savetubevideo.com", "screentoolkit.com", "semalt.com", "semaltmedia.com", "seo-platform.com",
    "seoexperimenty.ru", "share-buttons.xyz", "simple-share-buttons.com", "site-auditor.online",
    "slftsdybbg.ru", "social-buttons.com", "social-widget.xyz", "socialseet.ru",
    "success-seo.com", "superiends.org", "theguardlan.com", "torture.ml", "traffic2cash.xyz",
    "traffic2money.com", "trafficmonetize.org", "vitaly-popov.info", "vodkoved.ru",
    "webmaster-traffic.com", "webmonetizer.net", "website-analyzer.info", "websites-reviews.com",
    "whatsappdownload.ru", "xrus.org", "xtrafficplus.com", "yougetsignal.ru", "youporn-forum.ga",
];

/// Whether a referrer belongs to a known spammer.
#[must_use]
pub fn is_referrer_spam(referrer: &Url) -> bool {
    let domain = psl::domain_str(referrer.host_str().unwrap_or_default());
    domain.is_some_and(|domain| SPAM_DOMAINS.binary_search(&domain).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_finds_what_is_below_a_domain() {
        assert!(SPAM_DOMAINS.is_sorted());
        let spam = |page: &str| is_referrer_spam(&Url::parse(page).unwrap());
        assert!(spam("http://semalt.semalt.com/crawler.php"));
        assert!(!spam("https://example.com/semalt.com"));
    }
}
