package com.example.ledger.core;

import java.util.ArrayDeque;
import java.util.Deque;

/** Transfers to other banks wait here for the next clearing. */
public class Settlement {
    private final Deque<Transfer> waiting = new ArrayDeque<>();
    private final LedgerService ledger;

    public Settlement(LedgerService ledger) {
        this.ledger = ledger;
    }

    public void enqueue(Transfer transfer) {
        waiting.addLast(transfer);
    }

    public int clear() {
        int done = 0;
        while (!waiting.isEmpty()) {
            Transfer transfer = waiting.pollFirst();
            try {
                ledger.settle(transfer);
                done++;
            } catch (LedgerException problem) {
                ledger.reverse(transfer.id(), "settlement: " + problem.getCode());
            }
        }
        return done;
    }
}
