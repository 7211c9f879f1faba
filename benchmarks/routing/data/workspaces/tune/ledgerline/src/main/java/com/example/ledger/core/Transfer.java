package com.example.ledger.core;

import java.time.Instant;

/** A wish to move money. */
public record Transfer(
        String id,
        String from,
        String to,
        long cents,
        String currency,
        String memo,
        String idempotencyKey,
        boolean instant,
        Instant requested) {}
