"use strict";

// Requests that wait for their answer, by id.  Each ends once: with an answer, an error or a timeout.

class Waiting {
    // most: requests that wait at the same time; further ones are refused.
    constructor(most = 1000) {
        this.most = most;
        this.requests = new Map();
    }

    // Return a promise of the answer to a request.
    add(id, seconds, what) {
        if (this.requests.size >= this.most) {
            return Promise.reject(
                new Error(`${what}: ${this.most} requests wait already; send fewer at a time`),
            );
        }
        if (this.requests.has(id)) {
            return Promise.reject(
                new Error(`${what}: the id ${id} is in use; never use an id twice`),
            );
        }
        return new Promise((resolve, reject) => {
            const late = () => {
                this.requests.delete(id);
                reject(
                    new Error(
                        `${what}: no answer within ${seconds} s; is the daemon running, and is ` +
                            "the device's name right?",
                    ),
                );
            };
            const timer = setTimeout(late, seconds * 1000);
            this.requests.set(id, { resolve, reject, timer });
        });
    }

    // End a request with its answer; false if none of this id waits.
    settle(id, answer) {
        return this.end(id, (request) => request.resolve(answer));
    }

    // End a request with an error; false if none of this id waits.
    fail(id, error) {
        return this.end(id, (request) => request.reject(error));
    }

    // End all requests: the flow stops.
    close() {
        for (const id of [...this.requests.keys()]) {
            this.fail(id, new Error("the flow was stopped before the answer"));
        }
    }

    end(id, how) {
        const request = this.requests.get(id);
        if (!request) {
            return false;
        }
        clearTimeout(request.timer);
        this.requests.delete(id);
        how(request);
        return true;
    }
}

module.exports = { Waiting };
