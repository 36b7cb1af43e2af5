//! Who asks what: users in trust tiers, and their questions. The same seed gives the same corpus.
//!
//! Every question names its own order number, so that a model that finds the question again knows what to answer, and
//! a reader of a captured pair can tell whether the answer is about the right order.

use std::collections::HashMap;

use crate::random::Random;
use crate::topics::{ITEMS, TOPICS, Topic};

/// The trust tiers with their share of the users, in percent.
pub const TIERS: [(&str, usize); 5] =
    [("internal", 5), ("employees", 10), ("beta", 15), ("power", 20), ("general", 50)];

/// Bytes of an order's number, `W-` and five digits.
const ORDER_BYTES: usize = 7;

/// One user of the support desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The value of `x-user-id`.
    pub id: String,
    /// The value of `x-tier`.
    pub tier: &'static str,
}

/// One question about one order.
#[derive(Clone)]
pub struct Question {
    /// What the user writes.
    pub text: String,
    /// The order's number, `W-` and five digits.
    pub order: String,
    pub(crate) item: &'static str,
    pub(crate) topic: &'static Topic,
}

/// All users and all questions.
pub struct Corpus {
    /// Users in no particular order of tiers.
    pub users: Vec<User>,
    /// Questions with different texts.
    pub questions: Vec<Question>,
    by_text: HashMap<String, usize>,
    by_order: HashMap<String, usize>,
}

impl Corpus {
    /// A corpus of so many users and questions.
    #[must_use]
    pub fn new(seed: u64, users: usize, questions: usize) -> Self {
        let mut random = Random::new(seed);
        let users = make_users(users, &mut random);
        let questions: Vec<Question> =
            (0..questions).filter_map(|number| Question::new(number, &mut random)).collect();
        let by_text =
            questions.iter().enumerate().map(|(at, question)| (question.text.clone(), at)).collect();
        let by_order =
            questions.iter().enumerate().map(|(at, question)| (question.order.clone(), at)).collect();
        Self { users, questions, by_text, by_order }
    }

    /// The question with exactly this text.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<&Question> {
        self.by_text.get(text).and_then(|at| self.questions.get(*at))
    }

    /// The question that a longer text is about, by the order that it names.
    #[must_use]
    pub fn find_order(&self, text: &str) -> Option<&Question> {
        let orders = text.match_indices("W-").filter_map(|(at, _)| text.get(at..at + ORDER_BYTES));
        orders.filter_map(|order| self.by_order.get(order)).find_map(|at| self.questions.get(*at))
    }
}

impl Question {
    /// The `number`-th question; orders of different questions differ.
    fn new(number: usize, random: &mut Random) -> Option<Self> {
        let topic = random.pick(TOPICS)?;
        let item = random.word(ITEMS);
        // 7919 is prime to 90000, so the first 90000 questions have different orders that do not look like a counter.
        let order = format!("W-{}", 10_000 + (number * 7919) % 90_000);
        let text = fill(random.word(topic.questions), &order, item, random);
        Some(Self { text, order, item, topic })
    }
}

/// Users of the named tiers, as many as `count`; the last tier takes what rounding leaves.
pub(crate) fn make_users(count: usize, random: &mut Random) -> Vec<User> {
    let mut users: Vec<User> = (0..count)
        .map(|number| User { id: format!("user-{number:04}"), tier: tier_at(number * 100 / count.max(1)) })
        .collect();
    random.shuffle(&mut users);
    users
}

/// Puts an order, an item and drawn numbers into a template.
pub(crate) fn fill(template: &str, order: &str, item: &str, random: &mut Random) -> String {
    let days = random.between(2, 9).to_string();
    let hour = random.between(10, 18).to_string();
    template
        .replace("{order}", order)
        .replace("{item}", item)
        .replace("{days}", &days)
        .replace("{hour}", &hour)
}

fn tier_at(percentile: usize) -> &'static str {
    let mut upper = 0;
    for (tier, percent) in TIERS {
        upper += percent;
        if percentile < upper {
            return tier;
        }
    }
    "general"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_corpus_and_another_seed_another() {
        let texts = |seed| -> Vec<String> {
            Corpus::new(seed, 300, 600).questions.into_iter().map(|question| question.text).collect()
        };
        assert_eq!(texts(1), texts(1));
        assert_ne!(texts(1), texts(2));
    }

    #[test]
    fn every_question_has_its_own_order_and_is_found_by_its_text() {
        let corpus = Corpus::new(1, 300, 2000);
        let orders: HashSet<&str> = corpus.questions.iter().map(|question| question.order.as_str()).collect();
        assert_eq!(orders.len(), 2000);
        for question in &corpus.questions {
            assert!(question.text.contains(&question.order), "{}", question.text);
            assert!(!question.text.contains('{'), "{}", question.text);
            assert_eq!(corpus.find(&question.text).unwrap().order, question.order);
        }
        assert!(corpus.find("anything else").is_none());
    }

    #[test]
    fn the_tiers_have_their_shares_of_the_users() {
        let users = Corpus::new(1, 300, 1).users;
        let count = |tier| users.iter().filter(|user| user.tier == tier).count();
        assert_eq!(TIERS.map(|(tier, _)| count(tier)), [15, 30, 45, 60, 150]);
        assert_eq!(users.iter().map(|user| &user.id).collect::<HashSet<_>>().len(), 300);
    }
}
