//! Which language an answer is in: `language:CODE` and `language_match` (that of the request).
//!
//! The detector (whatlang: trigrams) needs some text: answers of fewer than [`LETTERS_MIN`] letters, answers in JSON and
//! those that it is not sure about have no value.

use std::sync::LazyLock;

use weir_gate::Better;
use whatlang::{Detector, Lang};

use super::flag;
use crate::answer::Answer;
use crate::metric::{Assembled, Metric, SHARE, ValueOf};

/// Prefix of the metrics that name a language.
pub(crate) const LANGUAGE: &str = "language:";
/// Fewest letters of a text whose language is guessed.
pub(crate) const LETTERS_MIN: usize = 24;

/// Two-letter codes (ISO 639-1) of the languages that are told apart: with fewer of them short texts are told more surely.
const CODES: [(&str, Lang); 24] = [
    ("ar", Lang::Ara),
    ("cs", Lang::Ces),
    ("da", Lang::Dan),
    ("de", Lang::Deu),
    ("el", Lang::Ell),
    ("en", Lang::Eng),
    ("es", Lang::Spa),
    ("fi", Lang::Fin),
    ("fr", Lang::Fra),
    ("he", Lang::Heb),
    ("hi", Lang::Hin),
    ("hu", Lang::Hun),
    ("it", Lang::Ita),
    ("ja", Lang::Jpn),
    ("ko", Lang::Kor),
    ("nl", Lang::Nld),
    ("pl", Lang::Pol),
    ("pt", Lang::Por),
    ("ru", Lang::Rus),
    ("sv", Lang::Swe),
    ("tr", Lang::Tur),
    ("uk", Lang::Ukr),
    ("vi", Lang::Vie),
    ("zh", Lang::Cmn),
];

static DETECTOR: LazyLock<Detector> =
    LazyLock::new(|| Detector::with_allowlist(CODES.iter().map(|(_, lang)| *lang).collect()));
/// Least confidence of the detector, 0 to 1.
const CONFIDENCE_MIN: f64 = 0.5;

/// `language:de`: whether the answer is in German.
pub(crate) fn language(name: &str, wanted: Lang) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: "share".into(),
        better: Better::Higher,
        bounds: SHARE,
        value: ValueOf::Language(wanted),
        needs_control: None,
    }
}

/// `language_match`: whether the answer is in the language of its request.
pub(crate) fn language_match() -> Metric {
    Metric {
        name: "language_match".to_owned(),
        unit: "share".into(),
        better: Better::Higher,
        bounds: SHARE,
        value: ValueOf::Assembled(Assembled::LanguageMatch),
        needs_control: None,
    }
}

/// The language of a code.
pub(crate) fn of_code(code: &str) -> Option<Lang> {
    CODES.iter().find(|(known, _)| *known == code).map(|(_, lang)| *lang)
}

pub(crate) fn is(answer: &Answer<'_>, wanted: Lang) -> Option<f64> {
    Some(flag(of_answer(answer)? == wanted))
}

/// The language of an answer.
pub(crate) fn of_answer(answer: &Answer<'_>) -> Option<Lang> {
    answer.text.as_ref().filter(|text| text.json.is_none())?;
    detect(answer.body?)
}

/// The language of a text, where there is enough of it.
pub(crate) fn detect(text: &str) -> Option<Lang> {
    // One sign of Chinese, Japanese or Korean says as much as a few letters.
    let letters: usize = text
        .chars()
        .filter(|c| c.is_alphabetic())
        .map(|c| if u32::from(c) >= 0x2e80 { 4 } else { 1 })
        .take(LETTERS_MIN)
        .sum();
    let found = DETECTOR.detect(text).filter(|_| letters >= LETTERS_MIN)?;
    (found.confidence() >= CONFIDENCE_MIN).then(|| found.lang())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn answers_in_twelve_languages_are_told_apart() {
        let texts = [
            ("en", "Your order was shipped on Monday and should arrive within the next three working days."),
            (
                "de",
                "Ihre Bestellung wurde am Montag verschickt und sollte in den nächsten drei Tagen ankommen.",
            ),
            (
                "fr",
                "Votre commande a été expédiée lundi et devrait arriver dans les trois prochains jours ouvrables.",
            ),
            ("es", "Su pedido fue enviado el lunes y debería llegar en los próximos tres días laborables."),
            (
                "it",
                "Il suo ordine è stato spedito lunedì e dovrebbe arrivare nei prossimi tre giorni lavorativi.",
            ),
            ("pt", "O seu pedido foi enviado na segunda-feira e deve chegar nos próximos três dias úteis."),
            (
                "nl",
                "Uw bestelling is maandag verzonden en zou binnen de komende drie werkdagen moeten aankomen.",
            ),
            (
                "pl",
                "Twoje zamówienie zostało wysłane w poniedziałek i powinno dotrzeć w ciągu trzech dni roboczych.",
            ),
            ("zh", "您的订单已于星期一发货,预计将在未来三个工作日内送达。"),
            ("ja", "ご注文の商品は月曜日に発送されました。三営業日以内にお届けする予定です。"),
            ("ko", "주문하신 상품은 월요일에 발송되었으며 앞으로 영업일 기준 사흘 안에 도착할 예정입니다."),
            ("ru", "Ваш заказ был отправлен в понедельник и должен прибыть в течение трёх рабочих дней."),
        ];
        for (code, text) in texts {
            let answer = Answer::default().with_text(Some(text));
            assert_eq!(is(&answer, of_code(code).unwrap()), Some(1.0), "{code}");
            assert_eq!(is(&answer, of_code("tr").unwrap()), Some(0.0), "{code}");
        }
        for text in
            ["ok", "42", "", "{\"answer\": \"Your order was shipped on Monday and should arrive soon\"}"]
        {
            assert_eq!(is(&Answer::default().with_text(Some(text)), Lang::Eng), None, "{text}");
        }
        assert_eq!((of_code("de"), of_code("xx"), of_code("")), (Some(Lang::Deu), None, None));
    }
}
