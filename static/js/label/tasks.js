import { PairwiseTask } from "./pairwise.js";
import { RankingTask } from "./ranking.js";
import { RatingTask } from "./rating.js";

// By the protocol's kind.
export const TASKS = { pairwise: PairwiseTask, ranking: RankingTask, rating: RatingTask };
