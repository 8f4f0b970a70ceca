// Tests the golden vectors of the export on this board.
#include <Auricle.h>

void setup() {
  Serial.begin(115200);
  while (!Serial) {
  }
  int wrong = 0;
#ifdef AURICLE_GOLDEN
  wrong |= auricle_golden_test();
#endif
#ifdef AURICLE_FORECASTER_GOLDEN
  wrong |= auricle_forecaster_test();
#endif
  Serial.println(wrong ? "auricle: golden vectors differ" : "auricle: all golden vectors agree");
}

void loop() {}
