package org.example.ledger.util;

import java.time.DayOfWeek;
import java.time.LocalDate;
import java.util.Set;

/** Days on which banks work. */
public final class BankDays {
    private final Set<LocalDate> holidays;

    public BankDays(Set<LocalDate> holidays) {
        this.holidays = Set.copyOf(holidays);
    }

    public boolean open(LocalDate day) {
        DayOfWeek weekday = day.getDayOfWeek();
        return weekday != DayOfWeek.SATURDAY && weekday != DayOfWeek.SUNDAY && !holidays.contains(day);
    }

    public LocalDate next(LocalDate day) {
        LocalDate candidate = day;
        while (!open(candidate)) {
            candidate = candidate.plusDays(1);
        }
        return candidate;
    }
}
