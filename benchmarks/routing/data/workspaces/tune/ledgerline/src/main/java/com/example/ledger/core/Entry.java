package com.example.ledger.core;

import java.time.Instant;

/** One side of a booking. */
public record Entry(String transferId, String iban, long cents, String currency, Instant booked, String text) {}
