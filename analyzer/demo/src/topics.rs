//! The words of the synthetic support desk: what users ask about, and what can truthfully be answered.
//!
//! `{order}` and `{item}` stand for the user's order, `{days}` for a number of days, `{hour}` for an hour of the day.

/// One thing that users ask about.
pub(crate) struct Topic {
    /// Ways to ask, each naming the order.
    pub(crate) questions: &'static [&'static str],
    /// What a good answer says, in this order.
    pub(crate) facts: &'static [&'static str],
    /// What a generous answer adds.
    pub(crate) extras: &'static [&'static str],
    /// What the user does next.
    pub(crate) next_steps: &'static [&'static str],
}

/// What can be ordered.
pub(crate) const ITEMS: &[&str] = &[
    "espresso machine",
    "hiking boots",
    "desk lamp",
    "noise-cancelling headphones",
    "rain jacket",
    "kettle",
    "mechanical keyboard",
    "yoga mat",
    "bicycle pump",
    "bookshelf",
    "camping stove",
    "office chair",
];

/// Openings that commit to nothing: only the worse model uses them.
pub(crate) const HEDGES: &[&str] = &[
    "I'm not entirely sure, but it might help to look at this first.",
    "I'm not sure about this, but it could possibly be a delay.",
    "I think it might be fine, but I cannot say for certain.",
    "It is hard to say, but perhaps this helps.",
];

/// Sentences that fit every topic, for variety of length.
pub(crate) const COURTESIES: &[&str] = &[
    "Thank you for your patience while we sort this out.",
    "I have added a note to your account so that you do not have to explain it again.",
    "You can reply to this message at any time and a colleague will see the whole history.",
    "Nothing else changes for your other orders.",
];

/// What users ask about. A static: topics are told apart by where they are, of which a constant promises nothing.
pub(crate) static TOPICS: &[Topic] = &[
    Topic {
        questions: &[
            "Where is my order {order}? The {item} should have been here {days} days ago.",
            "The tracking page of {order} has not moved for {days} days. Is my {item} lost?",
        ],
        facts: &[
            "Your order {order} left our warehouse {days} days ago and is with the regional carrier.",
            "The last scan shows the {item} at the sorting centre nearest to you.",
            "Delivery is planned within the next {days} working days, before {hour}:00.",
            "If it has not arrived by then we send a second {item} at no cost.",
            "You will get a message with a one-hour window on the morning of the delivery.",
        ],
        extras: &[
            "You can also have it left with a neighbour by choosing that in the carrier's link.",
            "Should you not be at home, the parcel waits {days} days at the nearest pick-up point.",
            "The carrier's own number is on the tracking page under contact.",
        ],
        next_steps: &[
            "Open the tracking link and confirm the delivery window.",
            "Choose a pick-up point in the tracking link.",
        ],
    },
    Topic {
        questions: &[
            "How do I return the {item} from order {order}?",
            "I would like to send back my {item}, order {order}. What do I have to do?",
        ],
        facts: &[
            "You can return the {item} of order {order} within 30 days of delivery.",
            "Open your orders, choose {order} and press return to get a prepaid label.",
            "Any parcel shop accepts the box, and you do not need a printer.",
            "We check the {item} within {days} working days after it has arrived.",
            "The refund goes to the card that you paid with and takes up to {days} days to show.",
        ],
        extras: &[
            "The original packing is not required as long as the {item} is protected.",
            "If you would rather exchange it, choose exchange instead and the new one leaves at once.",
            "Returns are free in all the countries that we deliver to.",
        ],
        next_steps: &["Open your orders and press return.", "Bring the box to a parcel shop within 30 days."],
    },
    Topic {
        questions: &[
            "I was charged twice for {order}. Can you fix that?",
            "My card shows two payments for the {item} in order {order}. Why?",
        ],
        facts: &[
            "I can see two lines for order {order}, and only one of them is a payment.",
            "The other line is a reservation that your bank made when the {item} was ordered.",
            "It disappears by itself within {days} working days without any action of yours.",
            "No money has been taken twice, and your invoice shows the single amount.",
            "If the line is still there after {days} days we will contact your bank with the reference.",
        ],
        extras: &[
            "The reference of the reservation is in your order under payment details.",
            "Some banks show reservations and payments in the same colour, which is confusing.",
            "You can download the invoice again at any time.",
        ],
        next_steps: &[
            "Look at your statement again in a few days.",
            "Send us a picture of the statement if both lines stay.",
        ],
    },
    Topic {
        questions: &[
            "The {item} from {order} arrived broken. What now?",
            "My {item} has a crack, order {order}. Do I get a new one?",
        ],
        facts: &[
            "I am sorry that the {item} of order {order} arrived damaged, and we will replace it.",
            "A new {item} is reserved for you and leaves the warehouse today before {hour}:00.",
            "It should be with you in {days} working days, with the same tracking page.",
            "Please keep the damaged one until the courier collects it, which costs nothing.",
            "If you would rather have the money back, the refund takes {days} days.",
        ],
        extras: &[
            "A photo of the box helps us to talk to the carrier, but you do not have to send one.",
            "The warranty of two years starts again with the new {item}.",
            "The courier rings before the collection.",
        ],
        next_steps: &[
            "Keep the damaged item for the courier.",
            "Choose replacement or refund in your orders.",
        ],
    },
    Topic {
        questions: &[
            "Can I still change the address of {order}?",
            "I have moved. Please send the {item} of order {order} to my new address.",
        ],
        facts: &[
            "The address of order {order} can be changed until it leaves the warehouse, today at {hour}:00.",
            "Open your orders, choose {order} and press change address.",
            "The {item} is then packed again with the new label, and the delivery moves by {days} days.",
            "After {hour}:00 the carrier's link lets you redirect the parcel once.",
            "The invoice keeps the old address unless you change it in your profile too.",
        ],
        extras: &[
            "A change to another country needs a new order because of customs.",
            "Your other orders are not changed by this.",
            "The redirect by the carrier is free within the same city.",
        ],
        next_steps: &[
            "Press change address in your orders today.",
            "Redirect the parcel in the carrier's link.",
        ],
    },
    Topic {
        questions: &[
            "Please cancel order {order}, I ordered the {item} by mistake.",
            "How can I cancel the {item} in order {order}?",
        ],
        facts: &[
            "Order {order} has not left the warehouse yet, and I have stopped the {item} for you.",
            "You will get a confirmation by mail within {days} minutes.",
            "Your card has not been charged, and the reservation ends within {days} days.",
            "If the confirmation does not come, press cancel in your orders before {hour}:00.",
            "A voucher that you used for {order} is valid again at once.",
        ],
        extras: &[
            "Should the parcel arrive all the same, refuse it and it comes back to us free of charge.",
            "You can order the same {item} again at today's price for {days} days.",
            "Points that you collected with this order are taken back.",
        ],
        next_steps: &[
            "Wait for the confirmation by mail.",
            "Press cancel in your orders if no mail arrives.",
        ],
    },
];
