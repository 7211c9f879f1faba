package org.example.ledger.model;

import java.time.LocalDate;

/** One side of a booking. Positive amounts are debits. */
public record Entry(long sequence, String account, Money amount, LocalDate valueDate, String text, String batch) {
}
