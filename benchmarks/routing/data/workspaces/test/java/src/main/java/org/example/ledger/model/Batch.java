package org.example.ledger.model;

import java.time.LocalDate;
import java.util.List;

/** Lines that are booked together or not at all. */
public record Batch(String id, LocalDate date, List<Line> lines, String reverses, String user) {
    public record Line(String account, Money amount, String text) {
    }
}
